/** Python's regular expressions (`re`, 3.11) as JavaScript ones. */
import { LabError } from '../../errors.ts'
import { spaceSet } from './python.ts'

const wordSet = String.raw`\p{L}\p{N}_`

/** Replacements of escapes outside and inside a character class. */
const outside: Readonly<Record<string, string>> = {
  w: `[${wordSet}]`,
  W: `[^${wordSet}]`,
  s: `[${spaceSet}]`,
  S: `[^${spaceSet}]`,
  d: String.raw`\p{Nd}`,
  D: String.raw`\P{Nd}`,
  b: `(?:(?<=[${wordSet}])(?![${wordSet}])|(?<![${wordSet}])(?=[${wordSet}]))`,
  B: `(?:(?<=[${wordSet}])(?=[${wordSet}])|(?<![${wordSet}])(?![${wordSet}]))`,
  a: String.raw`\x07`,
  A: '^',
  Z: '$',
}
const inside: Readonly<Record<string, string>> = {
  w: wordSet,
  s: spaceSet,
  d: String.raw`\p{Nd}`,
  D: String.raw`\P{Nd}`,
  a: String.raw`\x07`,
  b: String.raw`\x08`,
}
/** Escapes that JavaScript's `u` mode knows with the same meaning; any other escaped character is itself. */
const shared = new Set('\\^$.*+?()[]{}|/-tnrfv0123456789xu')

/** Python takes all four for the same letter where case is ignored; JavaScript only the first two. */
const lettersI = 'iI\u0130\u0131'

interface Options {
  readonly ignoreCase?: boolean
  readonly multiline?: boolean
}

/**
 * A Python `re` pattern as a JavaScript one, global. Look-behind, groups and most quantifiers are the same in both; `\w`,
 * `\s`, `\d`, `\b`, `.` and (with multiline) `^` and `$` are not, nor are braces and brackets that stand for themselves.
 * Without multiline, Python's `$` also matches before a last newline. A possessive quantifier (`C++`) becomes a greedy one.
 * Throws BAD_INPUT for a pattern that JavaScript cannot read.
 */
export function pythonPattern(source: string, options: Options = {}): RegExp {
  const parts: string[] = []
  for (let i = 0; i < source.length;) {
    const part = nextPart(source, i, options)
    parts.push(part.js)
    i += part.length
  }
  try {
    return new RegExp(parts.join(''), options.ignoreCase === true ? 'giu' : 'gu')
  } catch (cause) {
    throw new LabError('BAD_INPUT', `not a regular expression that can be used here: ${source}`, { cause })
  }
}

/** `re.search(pattern, text) is not None`. */
export function found(pattern: RegExp, text: string): boolean {
  return text.search(pattern) >= 0
}

/** `len(re.findall(pattern, text))`: non-overlapping matches of a global pattern. */
export function countMatches(pattern: RegExp, text: string): number {
  return text.match(pattern)?.length ?? 0
}

interface Part {
  readonly js: string
  /** Characters of the Python pattern that it stands for. */
  readonly length: number
}

const quantifier = /^(?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\})/u

function nextPart(source: string, i: number, options: Options): Part {
  const character = String.fromCodePoint(source.codePointAt(i) ?? 0)
  if (character === '\\') {
    const escaped = source.charAt(i + 1)
    const js = escape(escaped, outside)
    // A class of Unicode with its case variants is slow to compile, and wider than Python's.
    const exact = options.ignoreCase === true && outside[escaped] !== undefined
    return { js: exact ? `(?-i:${js})` : js, length: 1 + escaped.length }
  }
  if (character === '[') return characterClass(source, i, options)
  const repeat = quantifier.exec(source.slice(i))?.[0]
  if (repeat !== undefined && i > 0) {
    const js = repeat.startsWith('{,') ? `{0${repeat.slice(1)}` : repeat
    const mode = source.charAt(i + repeat.length)
    if (mode === '+') return { js, length: repeat.length + 1 }
    return mode === '?' ? { js: `${js}?`, length: repeat.length + 1 } : { js, length: repeat.length }
  }
  if (source.startsWith('(?P<', i)) return { js: '(?<', length: 4 }
  const back = /^\(\?P=([^)]*)\)/u.exec(source.slice(i))
  if (back !== null) return { js: String.raw`\k<${back[1] ?? ''}>`, length: back[0].length }
  return { js: bare(character, options), length: character.length }
}

/** A class up to its `]`; one that comes first stands for itself. */
function characterClass(source: string, from: number, options: Options): Part {
  let i = from + 1
  let js = '['
  if (source.charAt(i) === '^') {
    js += '^'
    i++
  }
  for (let first = true; ; first = false) {
    const character = source.charAt(i)
    if (character === '' || (character === ']' && !first)) break
    if (character === '\\') {
      js += escape(source.charAt(i + 1), inside)
      i += 2
      continue
    }
    if ('[](){}/|'.includes(character)) js += `\\${character}`
    else if (options.ignoreCase === true && lettersI.includes(character)) js += `${lettersI}${character}`
    else js += character
    i++
  }
  return i < source.length ? { js: `${js}]`, length: i + 1 - from } : { js, length: i - from }
}

function escape(character: string, classes: Readonly<Record<string, string>>): string {
  const known = classes[character]
  if (known !== undefined) return known
  if (character === '-' && classes === outside) return character
  if (shared.has(character)) return `\\${character}`
  return character === '' ? '\\' : character
}

function bare(character: string, { ignoreCase, multiline }: Options): string {
  if (character === '.') return String.raw`[^\n]`
  if (character === '^' && multiline === true) return String.raw`(?<=^|\n)`
  if (character === '$') return multiline === true ? String.raw`(?=\n|$)` : String.raw`(?=\n?$)`
  if (character === '{' || character === '}' || character === ']') return `\\${character}`
  if (ignoreCase === true && lettersI.includes(character)) return `[${lettersI}]`
  return character
}
