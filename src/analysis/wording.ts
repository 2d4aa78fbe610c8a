/** Numbers in the sentences of verdicts: rates as percentages, differences in points, bounds with their confidence. */
import { type Count, rateOf } from './curve.ts'
import type { Interval } from './intervals.ts'

/** `0.0231` as `2.3%`. */
export function percent(share: number): string {
  return `${number(share)}%`
}

/** `0.12` as `12 points`: a difference of two rates. */
export function points(share: number): string {
  return `${number(share)} points`
}

/** `3 of 128 triggered prompts (2.3%)`. */
export function countWords(count: Count, of: string): string {
  return count.n === 0
    ? `none of the ${of} (none tried)`
    : `${count.k} of ${count.n} ${of} (${percent(rateOf(count))})`
}

/** `at least 88.8%`; rounded down, so that the words claim no more than the number. */
export function atLeast(share: number, unit = percent): string {
  return `at least ${unit(Math.floor(share * 1000 + 1e-6) / 1000)}`
}

/** `at most 2.4%`; rounded up, so that the words claim no more than the number. */
export function atMost(share: number, unit = percent): string {
  return `at most ${unit(Math.ceil(share * 1000 - 1e-6) / 1000)}`
}

/** `between 31.7% and 46.8%`, rounded outwards. */
export function between({ lower, upper }: Interval): string {
  return `${atLeast(lower)} and ${atMost(upper)}`.replace('at least', 'between').replace('at most ', '')
}

/** `95% confidence`. */
export function confidence(alpha: number): string {
  return `${percent(1 - alpha)} confidence`
}

/** `a`, `a and b`, `a, b and c`. */
export function list(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`
}

function number(share: number): string {
  const rounded = (share * 100).toFixed(1)
  return rounded.endsWith('.0') ? rounded.slice(0, -2) : rounded
}
