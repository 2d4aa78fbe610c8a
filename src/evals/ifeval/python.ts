/** Python's strings where JavaScript's differ: white space, stripping, splitting and letter case. */

/** Members of Python's `\s` as the inside of a character class: with \x1c-\x1f and \x85, without U+FEFF. */
export const spaceSet = String.raw`\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`

const nonSpaceRun = new RegExp(`[^${spaceSet}]+`, 'gu')
const spaceCharacter = new RegExp(`^[${spaceSet}]$`, 'u')

/** `str.strip()` without arguments. */
export function strip(text: string): string {
  let from = 0
  while (from < text.length && isSpace(text, from)) from++
  return stripEnd(text.slice(from))
}

/** `str.rstrip()` without arguments. */
export function stripEnd(text: string): string {
  let to = text.length
  while (to > 0 && isSpace(text, to - 1)) to--
  return text.slice(0, to)
}

/** Whether the character is of `\s`. */
export function isSpace(text: string, i: number): boolean {
  const code = text.charCodeAt(i)
  if (code < 0x80) return code <= 0x20 && ((code >= 9 && code <= 13) || code >= 0x1c)
  return spaceCharacter.test(text.charAt(i))
}

/** `str.strip(chars)` for one character, or `str.lstrip(first).rstrip(last)` for two. */
export function stripCharacter(text: string, first: string, last: string = first): string {
  let from = 0
  let to = text.length
  while (from < to && text[from] === first) from++
  while (to > from && text[to - 1] === last) to--
  return text.slice(from, to)
}

/** `str.split()` without arguments. */
export function splitSpace(text: string): string[] {
  return text.match(nonSpaceRun) ?? []
}

/** `str.isupper()`: at least one cased character, and no lower-case or title-case one. */
export function isUpper(text: string): boolean {
  return /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text)
}

/** `str.islower()`: at least one cased character, and no upper-case or title-case one. */
export function isLower(text: string): boolean {
  return /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text)
}
