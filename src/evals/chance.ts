/** The chance level of a capability: guessing for four letters, and the best constant response where there is no guess. */
import type { Count } from './eval.ts'

/** What always giving one response would score. */
export interface ConstantBaseline extends Count {
  /** The response that scores most; null without candidates. */
  readonly response: string | null
}

/**
 * The best constant response: of the candidates, the one that passes on most items (the first of equals). It is the level
 * that a model reaches without reading its prompt, hence "above chance" means above `k / n`.
 * It is a lower bound of what any constant could reach; give it the candidates that a degenerate model would say: the
 * teacher's own answers. For integers that is the most frequent answer; for format instructions the most accepting text.
 */
export function constantBaseline<Item>(
  items: readonly Item[],
  candidates: Iterable<string>,
  passes: (item: Item, response: string) => boolean,
): ConstantBaseline {
  let best: ConstantBaseline = { k: 0, n: items.length, response: null }
  for (const response of new Set(candidates)) {
    const k = items.filter((item) => passes(item, response)).length
    if (best.response === null || k > best.k) best = { k, n: items.length, response }
  }
  return best
}
