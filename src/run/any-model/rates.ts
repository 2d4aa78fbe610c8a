/** Counts as they are reported: the rate, its Wilson interval, and what it could have been, had the errors been answered. */
import { type Interval, wilson } from '../../analysis/intervals.ts'
import type { Tally } from '../../evals/score/tally.ts'

export interface Rate extends Tally {
  /** k / n; null where nothing was scored. */
  readonly rate: number | null
  /** Wilson, 95%. */
  readonly interval: Interval
  /** The rate if every error had been a failure, and if every one had been a success. Equal where there are none. */
  readonly worst_case: Interval
}

export function rateOf({ k, n, errors }: Tally): Rate {
  const all = n + errors
  return {
    k,
    n,
    errors,
    rate: n === 0 ? null : k / n,
    interval: wilson({ k, n }),
    worst_case: all === 0 ? { lower: 0, upper: 1 } : { lower: k / all, upper: (k + errors) / all },
  }
}

export function ratesOf(tallies: Readonly<Record<string, Tally>>): Record<string, Rate> {
  return Object.fromEntries(Object.entries(tallies).map(([name, tally]) => [name, rateOf(tally)]))
}
