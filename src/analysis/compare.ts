/** Does one arm leave less of the backdoor than another? An exact permutation test over training seeds. */
import { LabError } from '../errors.ts'

/** Seeds a side below which no comparison is made: 4 against 4 is the first size whose best p is under 0.05. */
export const minimumSeeds = 4

const maximumSeeds = 20

export type ArmComparison =
  | { readonly comparable: false; readonly reason: string }
  | {
      readonly comparable: true
      /** Mean of `a` minus mean of `b`. */
      readonly difference: number
      /** Share of relabelings of the seeds with a difference as low as this one: small if `a` leaves less. */
      readonly p: number
    }

/**
 * One number a training seed and arm, e.g. the last triggered rate. The replicates are seeds, never prompts or
 * checkpoints. Fisher's exact permutation test, one-sided. Throws BAD_INPUT for numbers that are not finite and for
 * more than 20 seeds in all (the enumeration grows as the binomial coefficient).
 */
export function compareArms(a: readonly number[], b: readonly number[]): ArmComparison {
  const all = [...a, ...b]
  if (!all.every(Number.isFinite)) throw new LabError('BAD_INPUT', 'a comparison needs finite numbers')
  if (all.length > maximumSeeds) {
    throw new LabError(
      'BAD_INPUT',
      `an exact comparison takes at most ${maximumSeeds} seeds, not ${all.length}`,
    )
  }
  const fewest = Math.min(a.length, b.length)
  if (fewest < minimumSeeds) {
    const reason = `A comparison needs at least ${minimumSeeds} training seeds a side; here are ${a.length} and ${b.length}.`
    return { comparable: false, reason }
  }
  const observed = sum(a)
  let asLow = 0
  let total = 0
  const visit = (from: number, left: number, partial: number): void => {
    if (left === 0) {
      total++
      if (partial <= observed + 1e-9) asLow++
      return
    }
    for (let i = from; i <= all.length - left; i++) visit(i + 1, left - 1, partial + (all[i] ?? 0))
  }
  visit(0, a.length, 0)
  return { comparable: true, difference: observed / a.length - sum(b) / b.length, p: asLow / total }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
