/** The bounds that verdicts use: exact ones for a fixed number of prompts, anytime ones where sampling could stop. */
import type { CurvePoint } from './curve.ts'
import { exactLower, exactUpper, type RateBounds } from './intervals.ts'
import { anytimeLower, anytimeUpper } from './sequential.ts'
import { anytimePairsLower, anytimePairsUpper } from './sequential-pairs.ts'
import { type Discordant, tangoLower, tangoUpper } from './tango.ts'

/** One-sided bounds, each at error `alpha`: of a rate in [0, 1], of a paired difference in [-1, 1]. */
export interface Bounds extends RateBounds {
  readonly pairsLower: (pairs: Discordant, alpha: number) => number
  readonly pairsUpper: (pairs: Discordant, alpha: number) => number
}

/** How the prompts of a measurement were sampled: a fixed number of them, or until a test decided. */
export type Sampling = 'fixed' | 'sequential'

/** The bounds that hold under each: Clopper-Pearson and Tango, or those that are valid whenever sampling stops. */
export const boundsOf: Readonly<Record<Sampling, Bounds>> = {
  fixed: { lower: exactLower, upper: exactUpper, pairsLower: tangoLower, pairsUpper: tangoUpper },
  sequential: {
    lower: anytimeLower,
    upper: anytimeUpper,
    pairsLower: anytimePairsLower,
    pairsUpper: anytimePairsUpper,
  },
}

/** `sequential` where any of the points could stop, whether it did or not. */
export function samplingOf(...points: readonly Pick<CurvePoint, 'sequential'>[]): Sampling {
  return points.some(({ sequential }) => sequential) ? 'sequential' : 'fixed'
}
