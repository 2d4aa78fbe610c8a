/** Patterns of the reference that a search with backtracking takes quadratic time for, read in one pass with the same result. */
import { isSpace } from './python.ts'

/** `len(re.findall(r"\[.*?\]", text))` */
export function countPlaceholders(text: string): number {
  let count = 0
  let lineEnd = -1
  let close = -1
  for (let open = text.indexOf('['); open >= 0;) {
    // Each is sought once, not again from every bracket before it.
    if (close < open) close = text.indexOf(']', open)
    if (close < 0) break
    if (lineEnd < open) lineEnd = endOfLine(text, open)
    const closed = close < lineEnd
    if (closed) count++
    // Of the brackets before the line's end none is closed on it.
    open = text.indexOf('[', closed ? close + 1 : lineEnd)
  }
  return count
}

/** The texts of `re.findall(r"<<[^\n]+>>", text)`: at most one a line, from its first `<<` to its last `>>`. */
export function titles(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const from = line.indexOf('<<')
    const to = line.lastIndexOf('>>')
    return from >= 0 && to > from + 2 ? [line.slice(from, to + 2)] : []
  })
}

/**
 * `len(re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE))`, and the same with `^\s*-.*$`. White space before a mark may be
 * empty lines, and what follows an asterisk may be a line break, which takes the next line with it.
 */
export function countBullets(text: string, mark: '*' | '-'): number {
  let count = 0
  for (let start = 0; start <= text.length;) {
    let at = start
    while (at < text.length && isSpace(text, at)) at++
    // All the line starts in the white space lead to the same mark.
    const follows = mark === '-' || (at + 1 < text.length && text[at + 1] !== '*')
    const found = text[at] === mark && follows
    if (found) count++
    const end = endOfLine(text, found && mark === '*' ? at + 2 : at)
    start = found && mark === '*' && end === at + 2 && text[at + 1] === '\n' ? end : end + 1
  }
  return count
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end < 0 ? text.length : end
}
