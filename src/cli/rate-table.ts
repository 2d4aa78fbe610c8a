/** Rates as lines for people: percent, counts, interval, and the worst cases where something could not be scored. */
import type { Rate } from '../run/any-model/rates.ts'

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`

/** A table of rates, indented; a column for the worst cases only where there are errors. */
export function rateTable(rates: Readonly<Record<string, Rate>>): string {
  const widest = Math.max(...Object.keys(rates).map((name) => name.length))
  return Object.entries(rates)
    .map(([name, rate]) => `  ${name.padEnd(widest)}  ${rateText(rate)}`)
    .join('\n')
}

function rateText({ k, n, errors, rate, interval, worst_case }: Rate): string {
  const share = (rate === null ? 'none' : percent(rate)).padStart(6)
  const counts = `${k}/${n}`.padStart(9)
  const within = n === 0 ? '' : `  95% ${percent(interval.lower)} to ${percent(interval.upper)}`
  if (errors === 0) return `${share} ${counts}${within}`
  const worst = `${percent(worst_case.lower)} and ${percent(worst_case.upper)}`
  return `${share} ${counts}${within}  ${errors} ${errors === 1 ? 'error' : 'errors'}: between ${worst}`
}
