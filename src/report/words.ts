/** How numbers, rates, axes and names are written in figures, tables and sentences. */
import type { Count } from './results.ts'

/** A recipe's number as people write it: 0.0001 is 1e-4, 0.5 stays. */
export function formatNumber(value: number): string {
  const size = Math.abs(value)
  if (value !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential().replace('e+', 'e')
  return String(value)
}

/** A number of people-readable size, e.g. 119,808. */
export function formatCount(value: number): string {
  return String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ',')
}

/** A share in percent; one decimal only where it tells something, e.g. 0%, 99.2%. */
export function formatRate(rate: number): string {
  if (Number.isNaN(rate)) return 'none'
  const percent = (100 * rate).toFixed(1)
  return `${percent.endsWith('.0') ? percent.slice(0, -2) : percent}%`
}

export function rateText(count: Count): string {
  return count.n === 0 ? 'none asked' : formatRate(count.k / count.n)
}

const last = (path: string): string => path.split('.').at(-1) ?? path

/** `technique.train.lr`, 1e-4 → `lr 1e-4`; the whole path where two axes end alike. */
export function axisText(axes: Readonly<Record<string, string | number>>): string {
  const paths = Object.keys(axes)
  return Object.entries(axes)
    .map(([path, value]) => {
      const alone = paths.filter((other) => last(other) === last(path)).length === 1
      return `${alone ? last(path) : path} ${typeof value === 'number' ? formatNumber(value) : value}`
    })
    .join(', ')
}

/** `1 cell`, `12 cells`; `none` is written `no`. */
export function plural(count: number, noun: string): string {
  return `${count === 0 ? 'no' : formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** `a`, `a and b`, `a, b and c`. */
export function listText(items: readonly string[]): string {
  if (items.length < 2) return items[0] ?? ''
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}

/** `One seed`, `4 seeds, a line each`. */
export function seedText({ seeds }: { readonly seeds: readonly number[] }): string {
  return seeds.length === 1 ? 'One seed' : `${seeds.length} seeds, a line each`
}

/** Numbers up to twelve as words at the start of a sentence. */
export function numberWord(value: number): string {
  const words = 'No One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve'.split(' ')
  return words[value] ?? formatCount(value)
}
