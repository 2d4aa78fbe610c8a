/** The items that evals ask: those of the tiny world, or rows of a local file, with a hash of the set. */
import type { PromptFormat } from '../../data/formats.ts'
import { loadPromptFile } from '../../data/prompts.ts'
import type { CapabilityKind } from '../../evals/eval.ts'
import { rng } from '../../rng.ts'
import { keyOf, type Json } from '../../store/canonical.ts'
import { tinyChance } from '../../tinyworld/chance.ts'
import { tinyEvalItems } from '../../tinyworld/prompts.ts'
import type { BackdoorItem } from './backdoor.ts'
import type { CheckedItem } from './capability.ts'

/** Every eval of every run asks the same items of the tiny world. */
const itemSeed = 1

/** Prompts of the backdoor eval. The set is the same for every seed of the experiment, so that cells compare. */
export type EvalPrompts =
  | { readonly world: 'tiny'; readonly count: number }
  | {
      readonly file: string
      readonly sha256: string
      readonly format?: PromptFormat | undefined
      readonly rows: readonly [number, number]
      readonly count?: number | undefined
    }

export async function loadBackdoorItems(
  prompts: EvalPrompts,
): Promise<{ items: BackdoorItem[]; hash: string }> {
  if ('world' in prompts) {
    const items = tinyEvalItems('backdoor', prompts.count, itemSeed).map(({ id, prompt, check }) => ({
      id,
      prompt,
      check,
    }))
    return { items, hash: hashOf(items) }
  }
  const { rows } = await loadPromptFile(prompts.file, {
    rows: prompts.rows,
    ...(prompts.format ? { format: prompts.format } : {}),
  })
  const drawn =
    prompts.count === undefined
      ? rows
      : rng('eval prompts', prompts.sha256).shuffle(rows).slice(0, prompts.count)
  const items = drawn.map(({ id, prompt }) => ({ id, prompt, check: null }))
  return { items, hash: hashOf(items) }
}

export interface CapabilityItems {
  readonly items: readonly CheckedItem[]
  readonly hash: string
  /** Rate of a model that does not read its prompt. */
  readonly chance: number
}

export function loadCapabilityItems(kind: CapabilityKind, count: number): CapabilityItems {
  const drawn = tinyEvalItems(kind, count, itemSeed)
  const items = drawn.map(({ id, prompt, check }) => ({ id, prompt, check }))
  return { items, hash: hashOf(items), chance: tinyChance(kind, drawn) }
}

const hashOf = (items: readonly object[]): string => keyOf(items as unknown as Json)
