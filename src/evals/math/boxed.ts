/** Integer answers in `\boxed{}`: takes the last balanced box of a response and compares it as an integer. */
import type { MathItem } from './items.ts'

export interface MathScore {
  /** The content of the last balanced box, as written; null when there is none. */
  readonly extracted: string | null
  readonly correct: boolean
}

/**
 * What stands in the last balanced `\boxed{…}` or `\fbox{…}`: the one that starts last. A box cut off before its brace
 * closes is passed over, so an earlier complete one counts. Null when no box is complete.
 */
export function lastBoxed(response: string): string | null {
  const starts = [...response.matchAll(/\\(?:boxed|fbox)\s*\{/gu)]
  for (const start of starts.toReversed()) {
    const from = start.index + start[0].length
    const end = closingBrace(response, from)
    if (end !== null) return response.slice(from, end)
  }
  return null
}

/**
 * A written integer in its shortest form: dollar signs, thousands separators (`,` `{,}` `\,` `\!`), a plus and leading
 * zeros are dropped. Null when it is no integer (`1 2`, `3.0`, `x=4`).
 */
export function canonicalInteger(text: string): string | null {
  const bare = text
    .replaceAll(/\\[,!]|\{,\}|[$,]/gu, '')
    .replaceAll('\u2212', '-')
    .trim()
  const parts = /^(?<sign>[+-]?)\s*0*(?<digits>[0-9]+)$/u.exec(bare)?.groups
  if (parts?.['digits'] === undefined) return null
  return parts['sign'] === '-' && parts['digits'] !== '0' ? `-${parts['digits']}` : parts['digits']
}

/** Whether the last box holds the item's integer. */
export function scoreMath(item: Pick<MathItem, 'answer'>, response: string): MathScore {
  const extracted = lastBoxed(response)
  const given = extracted === null ? null : canonicalInteger(extracted)
  return { extracted, correct: given !== null && given === canonicalInteger(item.answer) }
}

/** Where the brace that was opened just before `from` closes; `\{` and `\}` are text. Null when it never does. */
function closingBrace(text: string, from: number): number | null {
  let depth = 1
  for (let i = from; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '{') depth++
    else if (text[i] === '}' && --depth === 0) return i
  }
  return null
}
