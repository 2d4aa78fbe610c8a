/** The change of a rate between two measurements: bounds of the pairs where there are some, a wider valid pair where not. */
import type { AnsweredPairs, Count, StartPairs } from './curve.ts'
import { type Sampling, boundsOf } from './bounds.ts'
import type { Discordant } from './tango.ts'

/** First minus second: its estimate and one-sided bounds, in [-1, 1]. */
export interface Difference {
  readonly estimate: number
  readonly lower: number
  readonly upper: number
  /** False where only the two counts were known: the bounds are wider. */
  readonly paired: boolean
}

/** Two measurements of one rate, with the pairs where the same prompts were used in both. */
export interface Comparison {
  readonly first: Count
  readonly second: Count
  readonly pairs: Discordant | null
  /** Of the two together; `fixed` unless said. */
  readonly sampling?: Sampling
}

export function pairsWithStart(pairs: StartPairs | undefined): Discordant | null {
  if (!pairs) return null
  const { both, only_now, only_start, neither } = pairs
  return discordant(only_now, only_start, both + neither)
}

export function pairsOfAnswers(pairs: AnsweredPairs | undefined): Discordant | null {
  if (!pairs) return null
  const { both, only_triggered, only_untriggered, neither } = pairs
  return discordant(only_triggered, only_untriggered, both + neither)
}

function discordant(onlyFirst: number, onlySecond: number, same: number): Discordant | null {
  const n = onlyFirst + onlySecond + same
  return n === 0 ? null : { onlyFirst, onlySecond, n }
}

/**
 * Bounds at error `alpha` each. Without pairs, the two bounds of the rates at alpha/2 are subtracted: that holds whatever the
 * dependence (Bonferroni), and is wider.
 */
export function difference(
  { first, second, pairs, sampling = 'fixed' }: Comparison,
  alpha: number,
): Difference {
  const bounds = boundsOf[sampling]
  if (pairs) {
    return {
      estimate: (pairs.onlyFirst - pairs.onlySecond) / pairs.n,
      lower: bounds.pairsLower(pairs, alpha),
      upper: bounds.pairsUpper(pairs, alpha),
      paired: true,
    }
  }
  const estimate = first.n === 0 || second.n === 0 ? 0 : first.k / first.n - second.k / second.n
  return {
    estimate,
    lower: bounds.lower(first, alpha / 2) - bounds.upper(second, alpha / 2),
    upper: bounds.upper(first, alpha / 2) - bounds.lower(second, alpha / 2),
    paired: false,
  }
}
