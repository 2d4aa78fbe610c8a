/** Bounds of a paired difference that hold whenever sampling stops: Tango's interval is for a fixed number of pairs. */
import { LabError } from '../errors.ts'
import { logMean } from './sequential.ts'
import type { Discordant } from './tango.ts'

/** Shares of the wealth that is bet on each pair; the bettor's wealth is the mean over them. */
const stakes = [0.25, 0.5, 0.75] as const

/**
 * log of the wealth of betting that first - second is above `limit` on average, nats. A pair is X = 0, 1 or 2 (only the
 * second succeeded, no difference, only the first); each bet multiplies the stake by X / (1 + limit). The wealth is an
 * e-process of the hypothesis that the mean difference is `limit` or less (Waudby-Smith & Ramdas 2024).
 */
function logWealth({ onlyFirst, onlySecond, n }: Discordant, limit: number): number {
  const mean = 1 + limit
  const grown = (stake: number): number =>
    (n - onlyFirst - onlySecond) * Math.log(1 - stake + stake / mean) +
    onlyFirst * Math.log(1 - stake + (2 * stake) / mean) +
    onlySecond * Math.log(1 - stake)
  return logMean(...stakes.map((stake) => [grown(stake), 1 / stakes.length] as const))
}

/** One-sided lower bound at error `alpha` of P(first) - P(second), in [-1, 1]. Throws BAD_INPUT for impossible counts. */
export function anytimePairsLower(pairs: Discordant, alpha: number): number {
  const { onlyFirst, onlySecond, n } = pairs
  if (onlyFirst < 0 || onlySecond < 0 || onlyFirst + onlySecond > n) {
    throw new LabError('BAD_INPUT', `${onlyFirst} and ${onlySecond} discordant pairs of ${n} are impossible`)
  }
  if (n === 0 || onlySecond === n) return -1
  let refuted = -1
  let possible = (onlyFirst - onlySecond) / n
  for (let i = 0; i < 60; i++) {
    const middle = (refuted + possible) / 2
    if (logWealth(pairs, middle) >= -Math.log(alpha)) refuted = middle
    else possible = middle
  }
  return refuted
}

/** One-sided upper bound at error `alpha` of P(first) - P(second), in [-1, 1]. */
export function anytimePairsUpper(pairs: Discordant, alpha: number): number {
  return -anytimePairsLower({ onlyFirst: pairs.onlySecond, onlySecond: pairs.onlyFirst, n: pairs.n }, alpha)
}
