/** The prompts of the backdoor eval: those of the tiny world, or rows of a local file. */
import type { PromptFormat } from '../../data/formats.ts'
import { loadPromptFile } from '../../data/prompts.ts'
import { LabError } from '../../errors.ts'
import { rng } from '../../rng.ts'
import { tinyEvalItems } from '../../tinyworld/prompts.ts'
import type { BackdoorItem } from '../any-model/backdoor-questions.ts'

/** Every eval of every run draws the same items. */
export const itemSeed = 1

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
): Promise<BackdoorItem[]> {
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
  return usable.slice(0, count)
}

async function candidates(prompts: EvalPrompts): Promise<BackdoorItem[]> {
  if ('world' in prompts) return tinyEvalItems('backdoor', prompts.count, itemSeed)
  const { file, rows: range, format, sha256 } = prompts
  const { rows } = await loadPromptFile(file, { rows: range, ...(format ? { format } : {}) })
  return rng('eval prompts', sha256)
    .shuffle(rows)
    .map(({ id, prompt }) => ({ id, prompt }))
}
