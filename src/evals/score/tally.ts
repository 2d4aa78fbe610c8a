/** Successes of what was scored, beside what could not be: an error is neither a success nor a failure. */
import type { Count } from '../eval.ts'
import { ifevalAccuracy } from '../ifeval/accuracy.ts'
import type { IfevalVerdict } from '../ifeval/verdict.ts'

export interface Tally extends Count {
  /** Verdicts that are missing; not in `n`. */
  readonly errors: number
}

/** Counts verdicts; null is one that is missing. */
export function tallyOf(verdicts: Iterable<boolean | null>): Tally {
  let k = 0
  let n = 0
  let errors = 0
  for (const verdict of verdicts) {
    if (verdict === null) errors++
    else n++
    if (verdict === true) k++
  }
  return { k, n, errors }
}

/** Verdicts on one IFEval item; null where it has no response, of which `instructions` tells how many verdicts are missing. */
export interface IfevalOutcome {
  readonly verdict: IfevalVerdict | null
  readonly instructions: number
}

/** IFEval's four numbers: all instructions of a prompt followed, and single instructions, each strict and loose. */
export function ifevalTallies(outcomes: readonly IfevalOutcome[]): Record<string, Tally> {
  const { prompt, instruction } = ifevalAccuracy(
    outcomes.flatMap(({ verdict }) => (verdict === null ? [] : [verdict])),
  )
  const missing = outcomes.filter(({ verdict }) => verdict === null)
  const prompts = missing.length
  const instructions = missing.reduce((sum, outcome) => sum + outcome.instructions, 0)
  return {
    prompt_strict: { ...prompt.strict, errors: prompts },
    instruction_strict: { ...instruction.strict, errors: instructions },
    prompt_loose: { ...prompt.loose, errors: prompts },
    instruction_loose: { ...instruction.loose, errors: instructions },
  }
}
