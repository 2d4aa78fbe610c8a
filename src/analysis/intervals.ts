/** Intervals for one proportion: Wilson's score interval for plots, Clopper-Pearson bounds for verdicts. */
import jstat from 'jstat'
import { checkCount, type Count } from './curve.ts'

/** Ends of an interval, both shares in [0, 1] (or in [-1, 1] for a difference). */
export interface Interval {
  readonly lower: number
  readonly upper: number
}

/** A count with its one-sided Clopper-Pearson bounds, each at the same error. */
export interface BoundedCount extends Count, Interval {}

/** z with P(Z > z) = `tail` for a standard normal Z. */
export function normalQuantile(tail: number): number {
  return -jstat.jStat.normal.inv(tail, 0, 1)
}

/**
 * Two-sided score interval without continuity correction (Wilson 1927; Newcombe 1998, method 3).
 * Nothing tried gives [0, 1].
 */
export function wilson(count: Count, confidence = 0.95): Interval {
  checkCount(count, 'wilson')
  const { k, n } = count
  if (n === 0) return { lower: 0, upper: 1 }
  const z = normalQuantile((1 - confidence) / 2)
  const middle = k + (z * z) / 2
  const half = z * Math.sqrt((k * (n - k)) / n + (z * z) / 4)
  const total = n + z * z
  return {
    lower: k === 0 ? 0 : Math.max(0, (middle - half) / total),
    upper: k === n ? 1 : Math.min(1, (middle + half) / total),
  }
}

/** One-sided exact lower bound with error at most `alpha` (Clopper & Pearson 1934): 0 when k = 0. */
export function exactLower(count: Count, alpha: number): number {
  checkCount(count, 'exactLower')
  const { k, n } = count
  if (k === 0) return 0
  if (k === n) return alpha ** (1 / n)
  return jstat.jStat.beta.inv(alpha, k, n - k + 1)
}

/** One-sided exact upper bound with error at most `alpha` (Clopper & Pearson 1934): 1 when k = n. */
export function exactUpper(count: Count, alpha: number): number {
  return 1 - exactLower({ k: count.n - count.k, n: count.n }, alpha)
}

/**
 * The interval that covers whatever `errors` failed requests would have said: its lower end counts them as failures,
 * its upper end as successes (worst case). `interval` is the method; without errors this is its interval.
 */
export function worstCase(
  { k, n }: Count,
  errors: number,
  interval: (count: Count) => Interval = wilson,
): Interval {
  const all = n + errors
  return { lower: interval({ k, n: all }).lower, upper: interval({ k: k + errors, n: all }).upper }
}

/** Two-sided Clopper-Pearson interval: each end at (1 - confidence) / 2. */
export function clopperPearson(count: Count, confidence = 0.95): Interval {
  const alpha = (1 - confidence) / 2
  return { lower: exactLower(count, alpha), upper: exactUpper(count, alpha) }
}

/** One-sided bounds of a rate, each at error `alpha`. */
export interface RateBounds {
  readonly lower: (count: Count, alpha: number) => number
  readonly upper: (count: Count, alpha: number) => number
}

/** The count with both one-sided bounds, each at error `alpha`; exact ones unless it says which. */
export function bounded(
  { k, n }: Count,
  alpha: number,
  { lower, upper }: RateBounds = { lower: exactLower, upper: exactUpper },
): BoundedCount {
  return { k, n, lower: lower({ k, n }, alpha), upper: upper({ k, n }, alpha) }
}
