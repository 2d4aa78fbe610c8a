/** Turns the schema's complaints into problems: the position in the file, what was expected, what is there, what may be meant. */
import type { z } from 'zod'
import {
  alternatives,
  didYouMean,
  nearest,
  type Path,
  type Problem,
  showPath,
  type Where,
} from './problem.ts'
import { keySets, knownKeys, meaningAt, parentOf } from './schema-walk.ts'
import { isEmptyBlock, show, sizeWords, typeHint, typeWords } from './words.ts'
import { type Located, placeKey } from './yaml.ts'

type Issue = z.core.$ZodIssue

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
  const problems = issues.flatMap((issue) => explain(issue, [], located, schema))
  // What an entry says itself can make wrong what it inherits.
  if (problems.length === 0 && located.inherited !== undefined) {
    const { inherited: told, ...rest } = located
    return explainIssues(issues, { ...rest, told }, schema)
  }
  // A misspelt key is missing too; that it is misspelt says both.
  const meant = new Set(problems.flatMap((problem) => problem.meant ?? []))
  return problems.filter((problem) => problem.missing === undefined || !meant.has(problem.missing))
}

/** A problem that knows which path is missing, or which path an unknown key was meant for (both as JSON). */
interface Finding extends Problem {
  readonly missing?: string
  readonly meant?: string | undefined
}

function explain(issue: Issue, prefix: Path, located: Located, schema: z.core.$ZodType): Finding[] {
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
        .map((key) => unknownKey(key, path, located, schema))
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
      return explainChoice(issue.values.map(String), path, value, located, meaningAt(schema, path))
    case 'too_small':
    case 'too_big':
      // Every whole number has a limit of its own beside that of JavaScript.
      if ('note' in issue) return []
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

function missing(path: Path, located: Located, schema: z.core.$ZodType): Finding[] {
  const parent = path.slice(0, -1)
  if (isInherited(located, parent)) return []
  const key = String(path.at(-1))
  const meaning = meaningAt(schema, path)
  return [
    {
      where: whereOf(located, parent, 'key'),
      message: `${showPath(parent) || 'the file'} lacks \`${key}\``,
      hint: meaning === undefined ? undefined : `${key}: ${meaning}`,
      missing: placeKey(path),
    },
  ]
}

function explainChoice(
  choices: readonly string[],
  path: Path,
  value: unknown,
  located: Located,
  otherwise: string | undefined,
): Problem[] {
  const where = whereOf(located, path)
  return [
    {
      where,
      message: `${showPath(path)} must be ${alternatives(choices)}, not ${show(value)}`,
      hint: typeof value === 'string' ? (didYouMean(value, choices) ?? otherwise) : otherwise,
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
): Finding[] {
  if (value === undefined) return missing(path, located, schema)
  const ranked = branches.map((issues) => ({ issues, distance: distanceOf(issues, value) }))
  const best = ranked.toSorted((a, b) => a.distance - b.distance)[0]
  if (best !== undefined && best.distance < otherKind && !isEmptyBlock(value)) {
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

/** What is not written in this block itself: the key, or else the keys beside which it cannot stand. */
function takenOver(key: string, path: Path, located: Located, schema: z.core.$ZodType): string[] {
  const { told, inherited = told } = located
  const own = whereOf(located, [])
  const isTaken = (name: string): boolean => {
    const where = whereOf(located, [...path, name])
    const elsewhere = 'file' in where && 'file' in own && where.file !== own.file
    return elsewhere || inherited?.has(placeKey([...path, name])) === true
  }
  if (isTaken(key)) return [key]
  const block = valueAt(located.value, path)
  const names = typeof block === 'object' && block !== null ? Object.keys(block) : []
  const strangers = keySets(schema, path)
    .filter((keys) => keys.includes(key))
    .map((keys) => names.filter((name) => !keys.includes(name)))
  const [fewest = []] = strangers.toSorted((a, b) => a.length - b.length)
  return fewest.every(isTaken) ? fewest : []
}

function unknownKey(key: string, path: Path, located: Located, schema: z.core.$ZodType): Finding {
  const known = knownKeys(schema, path)
  const where = whereOf(located, [...path, key], 'key')
  // Known in another branch of the union.
  if (known.includes(key)) {
    const expected = meaningAt(schema, path)
    const message = `\`${key}\` cannot stand beside the other keys of ${showPath(path)}`
    const taken = takenOver(key, path, located, schema)
    if (taken.length > 0) {
      const those = taken.map((name) => `\`${name}: null\``).join(', ')
      const hint = `${those} takes away what is taken over by \`like\``
      return { where: taken.includes(key) ? whereOf(located, path, 'key') : where, message, hint }
    }
    return { where, message, hint: expected === undefined ? undefined : `expected: ${expected}` }
  }
  const near =
    nearest(key, known) ?? known.find((other) => other.length > 4 && key.startsWith(other.slice(0, 4)))
  const parent = parentOf(schema, path, key)
  const misplaced = parent === undefined ? undefined : `\`${key}\` belongs under \`${parent}\``
  return {
    where,
    message: `unknown key \`${key}\`${path.length === 0 ? '' : ` in ${showPath(path)}`}`,
    hint: misplaced ?? (near === undefined ? `known keys: ${known.join(', ')}` : `did you mean \`${near}\`?`),
    meant: near === undefined ? undefined : placeKey([...path, near]),
  }
}
