/** Turns the schema's complaints into problems: the position in the file, what was expected, what is there, what may be meant. */
import type { z } from 'zod'
import { alternatives, didYouMean, type Path, type Problem, showPath, type Where } from './problem.ts'
import { knownKeys, meaningAt, parentOf } from './schema-walk.ts'
import { type Located, placeKey } from './yaml.ts'

type Issue = z.core.$ZodIssue

/** Values that the design foresees and this version cannot do yet. */
const notYet: Readonly<Record<string, readonly string[]>> = { method: ['lora'], optimizer: ['soap'] }

/** Where a value stands; for a path that the file does not have, its nearest ancestor. */
export function whereOf({ places }: Located, path: Path, part: 'key' | 'value' = 'value'): Where {
  for (let n = path.length; n >= 0; n--) {
    const place = places.get(placeKey(path.slice(0, n)))
    if (place !== undefined) return place[n === path.length ? part : 'key']
  }
  return { file: '', line: 1, col: 1 }
}

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => {
    return typeof at === 'object' && at !== null && Object.hasOwn(at, key)
      ? (at as Record<string, unknown>)[key]
      : undefined
  }, value)
}

/** One or more problems for each issue of `schema.safeParse(located.value)`. */
export function explainIssues(
  issues: readonly Issue[],
  located: Located,
  schema: z.core.$ZodType,
): Problem[] {
  return issues.flatMap((issue) => explain(issue, [], located, schema))
}

function explain(issue: Issue, prefix: Path, located: Located, schema: z.core.$ZodType): Problem[] {
  const path = [...prefix, ...(issue.path as (string | number)[])]
  const value = valueAt(located.value, path)
  const at = (message: string, hint?: string): Problem[] => [{ where: whereOf(located, path), message, hint }]
  const name = showPath(path) || 'the file'
  // The entry that it is like has the same problem.
  if (isInherited(located, path)) return []

  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys
        .filter((key) => !isInherited(located, [...path, key]))
        .map((key) => ({
          where: whereOf(located, [...path, key], 'key'),
          message: `unknown key \`${key}\`${path.length === 0 ? '' : ` in ${name}`}`,
          hint: keyHint(schema, path, key),
        }))
    case 'invalid_union':
      return explainUnion(issue.errors, path, value, located, schema)
    case 'invalid_key':
      return [
        {
          where: whereOf(located, path, 'key'),
          message: `\`${String(path.at(-1))}\` is no name for ${showPath(path.slice(0, -1))}`,
          hint: issue.issues[0]?.message,
        },
      ]
    case 'invalid_type':
      if (value === undefined) return missing(path, located, schema)
      return at(
        `${name} must be ${typeWords[issue.expected] ?? issue.expected}, not ${show(value)}`,
        typeHint(issue.expected, value),
      )
    case 'invalid_value':
      if (value === undefined) return missing(path, located, schema)
      return explainChoice(issue.values.map(String), path, value, located)
    case 'too_small':
    case 'too_big':
      return at(`${name} ${sizeWords(issue, value)}`, meaningAt(schema, path))
    case 'not_multiple_of':
    case 'invalid_format':
    case 'invalid_element':
    case 'custom':
      return at(`${name}: ${issue.message}`)
    default:
      return issue satisfies never
  }
}

const isInherited = ({ inherited }: Located, path: Path): boolean => inherited?.has(placeKey(path)) === true

function missing(path: Path, located: Located, schema: z.core.$ZodType): Problem[] {
  const parent = path.slice(0, -1)
  if (isInherited(located, parent)) return []
  const key = String(path.at(-1))
  const meaning = meaningAt(schema, path)
  return [
    {
      where: whereOf(located, parent, 'key'),
      message: `${showPath(parent) || 'the file'} lacks \`${key}\``,
      hint: meaning === undefined ? undefined : `${key}: ${meaning}`,
    },
  ]
}

function explainChoice(choices: readonly string[], path: Path, value: unknown, located: Located): Problem[] {
  const key = String(path.at(-1))
  const where = whereOf(located, path)
  if (typeof value === 'string' && notYet[key]?.includes(value)) {
    return [
      {
        where,
        message: `\`${key}: ${value}\` is not available yet in this version`,
        hint: `use ${alternatives(choices)}`,
      },
    ]
  }
  return [
    {
      where,
      message: `${showPath(path)} must be ${alternatives(choices)}, not ${show(value)}`,
      hint: typeof value === 'string' ? didYouMean(value, choices) : undefined,
    },
  ]
}

/** A union is explained by the branch that was most probably meant. */
function explainUnion(
  branches: readonly (readonly Issue[])[],
  path: Path,
  value: unknown,
  located: Located,
  schema: z.core.$ZodType,
): Problem[] {
  if (value === undefined) return missing(path, located, schema)
  const ranked = branches.map((issues) => ({ issues, distance: distanceOf(issues, value) }))
  const best = ranked.toSorted((a, b) => a.distance - b.distance)[0]
  if (best !== undefined && best.distance < otherKind) {
    return best.issues.flatMap((issue) => explain(issue, path, located, schema))
  }
  const expected = meaningAt(schema, path)
  return [
    {
      where: whereOf(located, path),
      message: `${showPath(path)} cannot be ${show(value)}`,
      hint: expected && `expected: ${expected}`,
    },
  ]
}

const otherKind = 1000

/** How far a value is from one branch: another kind of value, unknown keys, missing keys, wrong values. */
function distanceOf(issues: readonly Issue[], value: unknown): number {
  const isObject = typeof value === 'object'
  return issues.reduce((sum, issue) => {
    const atRoot = issue.path.length === 0
    if (issue.code === 'unrecognized_keys') return sum + 4 * issue.keys.length
    if (issue.code === 'invalid_type' && atRoot) return sum + otherKind
    if (issue.code === 'invalid_value' && atRoot) return sum + (isObject ? otherKind : 10)
    const absent = valueAt(value, issue.path as (string | number)[]) === undefined
    return sum + (absent ? 3 : 1)
  }, 0)
}

function keyHint(schema: z.core.$ZodType, path: Path, key: string): string | undefined {
  const parent = parentOf(schema, path, key)
  if (parent !== undefined) return `\`${key}\` belongs under \`${parent}\``
  const known = knownKeys(schema, path)
  return didYouMean(key, known) ?? (known.length === 0 ? undefined : `known keys: ${known.join(', ')}`)
}

const typeWords: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list of two',
  object: 'a block of `key: value` lines',
  record: 'a block of `name: ...` lines',
}

function typeHint(expected: string, value: unknown): string | undefined {
  if (expected === 'array' && typeof value !== 'object') return `write [${JSON.stringify(value)}]`
  if (expected === 'string' && typeof value === 'number') return `quote it: "${value}"`
  if (expected === 'boolean' && typeof value === 'string' && /^(yes|no|on|off)$/i.test(value)) {
    return `write ${/^(yes|on)$/i.test(value) ? 'true' : 'false'}`
  }
  if (expected === 'number' && typeof value === 'string' && /^[\d_,. ]+$/.test(value)) {
    return 'write the digits alone, with a point for decimals'
  }
  return undefined
}

function sizeWords(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig, value: unknown): string {
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
  return 'a block of keys'
}
