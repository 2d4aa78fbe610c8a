/** How many prompts the tiny world has, so that an experiment that asks for more is refused before anything runs. */
import type { Experiment } from './experiment.ts'
import type { Problem } from './problem.ts'
import type { Place } from './prompt-checks.ts'

/** Prompts that every seed can draw from a split; how many more there are depends on the seed. */
export const tinySplitSizes = { pretrain: 24_000, red: 11_000, blue: 11_000 } as const

/** Items of the evals, which are drawn with the same seed in every experiment. */
export const tinyEvalSizes = { backdoor: 5759, mmlu: 8500, ifeval: 1085, math: 834 } as const

const hint = 'ask for fewer: prompts are never repeated inside a set'

/** A training set that is larger than its split. */
export function tinyRowProblems(split: keyof typeof tinySplitSizes, rows: number, place: Place): Problem[] {
  const size = tinySplitSizes[split]
  if (rows <= size) return []
  const message = `${rows} rows cannot be drawn: tiny/${split} has ${size} prompts for every seed`
  return [{ where: place('rows'), message, hint }]
}

/** Evals of more items than there are. */
export function tinyEvalProblems({ evals, where }: Experiment): Problem[] {
  return (['backdoor', 'mmlu', 'ifeval', 'math'] as const).flatMap((kind): Problem[] => {
    const size = tinyEvalSizes[kind]
    const asked = askedOf(evals, kind)
    if (asked <= size) return []
    const what = kind === 'backdoor' ? 'prompts' : 'items'
    const message = `${asked} ${what} cannot be drawn from the ${size} that the tiny world has for ${kind}`
    return [{ where: where(['evals', kind, what]), message, hint }]
  })
}

function askedOf(evals: Experiment['evals'], kind: keyof typeof tinyEvalSizes): number {
  if (kind !== 'backdoor') {
    const items = evals[kind]?.items
    return items?.kind === 'tiny' ? items.count : 0
  }
  return evals.backdoor.prompts.kind === 'tiny' ? evals.backdoor.count : 0
}
