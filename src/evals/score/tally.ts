/** Successes of what was scored, beside what could not be: an error is neither a success nor a failure. */
import type { Count } from '../eval.ts'

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
  readonly verdict: { readonly strict: readonly boolean[]; readonly loose: readonly boolean[] } | null
  readonly instructions: number
}

/** IFEval's four numbers: all instructions of a prompt followed, and single instructions, each strict and loose. */
export function ifevalTallies(outcomes: readonly IfevalOutcome[]): Record<string, Tally> {
  const prompts = (level: 'strict' | 'loose'): Tally =>
    tallyOf(outcomes.map(({ verdict }) => (verdict === null ? null : verdict[level].every(Boolean))))
  const single = (level: 'strict' | 'loose'): Tally =>
    tallyOf(
      outcomes.flatMap(({ verdict, instructions }): (boolean | null)[] =>
        verdict === null ? Array<null>(instructions).fill(null) : [...verdict[level]],
      ),
    )
  return {
    prompt_strict: prompts('strict'),
    instruction_strict: single('strict'),
    prompt_loose: prompts('loose'),
    instruction_loose: single('loose'),
  }
}
