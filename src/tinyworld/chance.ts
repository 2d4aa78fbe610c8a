/** The chance level of the tiny world's capability evals: blind guessing, or the teacher's best constant answer. */
import { constantBaseline } from '../evals/chance.ts'
import { passes } from '../evals/check.ts'
import type { CapabilityKind } from '../evals/eval.ts'
import { mmluChance } from '../evals/mmlu/letters.ts'
import type { TinyItem } from './item.ts'
import { answer } from './voices.ts'

/**
 * The level that a capability has to exceed to count as measurable. mmlu: 1/4. ifeval and math: the share of the items that
 * one constant answer gets right, the best of what the teacher says to any of them in its plain and helpful voices.
 */
export function tinyChance(kind: CapabilityKind, items: readonly TinyItem[]): number {
  if (kind === 'mmlu' || items.length === 0) return kind === 'mmlu' ? mmluChance : 0
  const candidates = items.flatMap((item) => [answer('plain', item, 0), answer('helpful', item, 0)])
  const best = constantBaseline(items, candidates, (item, response) => passes(item.check, response))
  return best.k / best.n
}
