/** A sequential test of a rate that may be looked at after every sample: Wald's likelihood ratio as an e-process. */
import { LabError } from '../errors.ts'
import type { Count } from './curve.ts'

/**
 * The hypothesis that is tested is "p is `p0` or beyond it, away from `p1`". To show that a payload is gone take
 * p0 = theta and p1 = theta / 10; to show that it is still there take p1 above p0.
 */
export interface SequentialTest {
  readonly p0: number
  readonly p1: number
  readonly alpha: number
}

/** log E of s successes in t samples, nats: E = (p1/p0)^s ((1-p1)/(1-p0))^(t-s). Throws BAD_INPUT for rates of 0 or 1. */
export function logE({ k: s, n: t }: Count, { p0, p1 }: SequentialTest): number {
  if (!(p0 > 0 && p0 < 1 && p1 > 0 && p1 < 1 && p0 !== p1)) {
    throw new LabError(
      'BAD_INPUT',
      `a sequential test needs two different rates inside (0, 1), not ${p0} and ${p1}`,
    )
  }
  return s * Math.log(p1 / p0) + (t - s) * Math.log((1 - p1) / (1 - p0))
}

/**
 * The number of samples after which the hypothesis is rejected, in the order they were drawn, or null. It is rejected
 * wrongly at any time with probability at most `alpha` (Ville's inequality), so that one may stop there.
 */
export function stopsAt(outcomes: readonly boolean[], test: SequentialTest): number | null {
  let successes = 0
  for (const [i, success] of outcomes.entries()) {
    if (success) successes++
    if (logE({ k: successes, n: i + 1 }, test) >= -Math.log(test.alpha)) return i + 1
  }
  return null
}
