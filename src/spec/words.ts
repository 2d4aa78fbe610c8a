/** Words for values and types, as a reader of the file would call them. */
import type { z } from 'zod'

export const isEmptyBlock = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0

export const typeWords: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list of two',
  object: 'a block of `key: value` lines',
  record: 'a block of `name: ...` lines',
}

export function typeHint(expected: string, value: unknown): string | undefined {
  if (expected === 'array' && typeof value !== 'object') return `write [${JSON.stringify(value)}]`
  if (expected === 'string' && typeof value === 'number') return `quote it: "${value}"`
  if (expected === 'boolean' && typeof value === 'string' && /^(yes|no|on|off)$/i.test(value)) {
    return `write ${/^(yes|on)$/i.test(value) ? 'true' : 'false'}`
  }
  if (/^(number|int)$/.test(expected) && typeof value === 'string' && /^[\d_,. ]+$/.test(value)) {
    return Number.isNaN(Number(value))
      ? 'write the digits alone, with a point for decimals'
      : 'remove the quotes'
  }
  return undefined
}

export function sizeWords(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig, value: unknown): string {
  const small = issue.code === 'too_small'
  const limit = String(small ? issue.minimum : issue.maximum)
  if (issue.origin === 'string') return small ? 'must not be empty' : `must have at most ${limit} characters`
  if (issue.origin === 'array') {
    const count = Array.isArray(value) ? value.length : 0
    if (small && limit === '1') return 'must not be an empty list'
    return `must have ${small ? 'at least' : 'at most'} ${limit} entries, not ${count}`
  }
  const words = small
    ? issue.inclusive
      ? 'at least'
      : 'more than'
    : issue.inclusive
      ? 'at most'
      : 'less than'
  return `must be ${words} ${limit}, not ${show(value)}`
}

/** A value as a reader of the file would call it. */
export function show(value: unknown): string {
  if (value === null) return 'empty'
  if (typeof value === 'string')
    return `the text ${JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)}`
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (isEmptyBlock(value)) return 'an empty block'
  return 'a block of keys'
}
