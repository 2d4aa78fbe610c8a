/** Tango's score interval for the difference of two proportions measured on the same prompts. */
import { LabError } from '../errors.ts'
import { type Interval, normalQuantile } from './intervals.ts'

/** Discordant pairs of `n`: successes only of the first, only of the second measurement. */
export interface Discordant {
  readonly onlyFirst: number
  readonly onlySecond: number
  readonly n: number
}

/** The two-sided interval of first minus second; its ends are one-sided bounds at (1 - confidence) / 2. */
export function tango(pairs: Discordant, confidence = 0.95): Interval {
  const alpha = (1 - confidence) / 2
  return { lower: tangoLower(pairs, alpha), upper: tangoUpper(pairs, alpha) }
}

/**
 * One-sided upper bound at error `alpha` of P(first) - P(second), in [-1, 1]: the largest difference that the score
 * test does not reject (Tango 1998, Statistics in Medicine 17, 891-908). Throws BAD_INPUT for impossible counts.
 */
export function tangoUpper(pairs: Discordant, alpha: number): number {
  const { onlyFirst, onlySecond, n } = pairs
  if (onlyFirst < 0 || onlySecond < 0 || onlyFirst + onlySecond > n) {
    throw new LabError('BAD_INPUT', `${onlyFirst} and ${onlySecond} discordant pairs of ${n} are impossible`)
  }
  if (n === 0 || onlyFirst === n) return 1
  const z = normalQuantile(alpha)
  let accepted = (onlyFirst - onlySecond) / n
  let rejected = 1
  for (let i = 0; i < 60; i++) {
    const middle = (accepted + rejected) / 2
    if (score(pairs, middle) >= -z) accepted = middle
    else rejected = middle
  }
  return (accepted + rejected) / 2
}

/** One-sided lower bound at error `alpha` of P(first) - P(second), in [-1, 1]. */
export function tangoLower(pairs: Discordant, alpha: number): number {
  const swapped = { onlyFirst: pairs.onlySecond, onlySecond: pairs.onlyFirst, n: pairs.n }
  return -tangoUpper(swapped, alpha)
}

/** Tango's statistic for the hypothesis that the difference is `delta`; it falls as `delta` grows. */
function score({ onlyFirst, onlySecond, n }: Discordant, delta: number): number {
  const b = -onlyFirst - onlySecond + (2 * n - onlyFirst + onlySecond) * delta
  const c = -onlySecond * delta * (1 - delta)
  // Likelihood estimate of P(only second) under the hypothesis.
  const q = (Math.sqrt(Math.max(0, b * b - 8 * n * c)) - b) / (4 * n)
  const variance = n * (2 * q + delta * (1 - delta))
  const distance = onlyFirst - onlySecond - n * delta
  if (variance <= 0) return distance === 0 ? 0 : Math.sign(distance) * Number.POSITIVE_INFINITY
  return distance / Math.sqrt(variance)
}
