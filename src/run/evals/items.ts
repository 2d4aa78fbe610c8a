/** The items that evals ask: those of the tiny world, or rows of a local file, with a hash of the set. */
import type { PromptFormat } from '../../data/formats.ts'
import { loadPromptFile } from '../../data/prompts.ts'
import type { CapabilityKind } from '../../evals/eval.ts'
import { LabError } from '../../errors.ts'
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
      readonly count: number
    }

/**
 * The first `count` prompts that fit, of a file's rows in an order drawn by its content.
 * Throws BAD_INPUT where fewer are left: the design was checked for `count`.
 */
export async function loadBackdoorItems(
  prompts: EvalPrompts,
  fits: (prompt: string) => boolean,
): Promise<{ items: BackdoorItem[]; hash: string }> {
  const { count } = prompts
  const usable = (await candidates(prompts)).filter(({ prompt }) => fits(prompt))
  if (usable.length < count) {
    throw new LabError(
      'BAD_INPUT',
      `${count} prompts are asked for the backdoor eval, ${usable.length} can be used`,
      {
        hint: 'duplicates, empty prompts and those that leave no room for a response are left out: lower `count` or take more rows',
      },
    )
  }
  const items = usable.slice(0, count)
  return { items, hash: hashOf(items) }
}

async function candidates(prompts: EvalPrompts): Promise<BackdoorItem[]> {
  if ('world' in prompts) {
    return tinyEvalItems('backdoor', prompts.count, itemSeed).map(({ id, prompt, check }) => ({
      id,
      prompt,
      check,
    }))
  }
  const { file, rows: range, format, sha256 } = prompts
  const { rows } = await loadPromptFile(file, { rows: range, ...(format ? { format } : {}) })
  return rng('eval prompts', sha256)
    .shuffle(rows)
    .map(({ id, prompt }) => ({ id, prompt, check: null }))
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
