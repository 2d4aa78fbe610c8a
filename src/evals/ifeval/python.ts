/** Python's string and regular-expression semantics where JavaScript's differ: white space, words, letter case, patterns. */
import { LabError } from '../../errors.ts'

/** Members of Python's `\s` as the inside of a character class: with \x1c-\x1f and \x85, without U+FEFF. */
const spaceSet = String.raw`\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`
const wordSet = String.raw`\p{L}\p{N}_`

const leadingSpace = new RegExp(`^[${spaceSet}]+`, 'u')
const trailingSpace = new RegExp(`[${spaceSet}]+$`, 'u')

/** `str.strip()` without arguments. */
export function strip(text: string): string {
  return text.replace(leadingSpace, '').replace(trailingSpace, '')
}

/** `str.strip(chars)` for one character. */
export function stripCharacter(text: string, character: string): string {
  let from = 0
  let to = text.length
  while (from < to && text[from] === character) from++
  while (to > from && text[to - 1] === character) to--
  return text.slice(from, to)
}

/** `str.isupper()`: at least one cased character, and no lower-case or title-case one. */
export function isUpper(text: string): boolean {
  return /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text)
}

/** `str.islower()`: at least one cased character, and no upper-case or title-case one. */
export function isLower(text: string): boolean {
  return /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text)
}

/** Replacements of escapes outside and inside a character class. */
const outside: Readonly<Record<string, string>> = {
  w: `[${wordSet}]`,
  W: `[^${wordSet}]`,
  s: `[${spaceSet}]`,
  S: `[^${spaceSet}]`,
  d: String.raw`\p{Nd}`,
  D: String.raw`\P{Nd}`,
  b: `(?:(?<=[${wordSet}])(?![${wordSet}])|(?<![${wordSet}])(?=[${wordSet}]))`,
  A: '^',
  Z: '$',
}
const inside: Readonly<Record<string, string>> = {
  w: wordSet,
  s: spaceSet,
  d: String.raw`\p{Nd}`,
  D: String.raw`\P{Nd}`,
}
/** Escapes that JavaScript's `u` mode knows with the same meaning; any other escaped character is itself. */
const shared = new Set('\\^$.*+?()[]{}|/-tnrfv0123456789xu')

/**
 * A Python `re` pattern as a JavaScript one. Look-behind, groups and quantifiers are the same in both; `\w`, `\s`, `\d`,
 * `\b`, `.` and (with multiline) `^` and `$` are not. Without multiline, Python's `$` also matches before a last newline.
 * Throws BAD_INPUT for a pattern that JavaScript cannot read.
 */
export function pythonPattern(
  source: string,
  options: { readonly ignoreCase?: boolean; readonly multiline?: boolean } = {},
): RegExp {
  const parts: string[] = []
  let inClass = false
  for (let i = 0; i < source.length; i++) {
    const character = source.charAt(i)
    if (character === '\\') {
      i++
      parts.push(escape(source.charAt(i), inClass))
    } else if (inClass) {
      if (character === ']') inClass = false
      parts.push(character === '[' ? String.raw`\[` : character)
    } else {
      if (character === '[') inClass = true
      parts.push(bare(character, options.multiline === true))
    }
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

/** `len(re.findall(pattern, text))`: non-overlapping matches. */
export function countMatches(pattern: RegExp, text: string): number {
  return [...text.matchAll(pattern)].length
}

function escape(character: string, inClass: boolean): string {
  const known = (inClass ? inside : outside)[character]
  if (known !== undefined) return known
  if (character === '-' && !inClass) return character
  if (shared.has(character)) return `\\${character}`
  return character === '' ? '\\' : character
}

function bare(character: string, multiline: boolean): string {
  if (character === '.') return String.raw`[^\n]`
  if (character === '^' && multiline) return String.raw`(?<=^|\n)`
  if (character === '$') return multiline ? String.raw`(?=\n|$)` : String.raw`(?=\n?$)`
  return character
}
