/** Scores a response to a math problem by what stands in its last box: the reference protocol, and the post's own. */
import { LabError } from '../../errors.ts'
import { canonicalInteger } from './integer.ts'
import type { MathItem } from './items.ts'

/** `reference`: the last balanced box holds the same integer. `post`: the last `boxed{-?\d+}` is the answer to the letter. */
export type MathProtocol = 'reference' | 'post'

export interface MathScore {
  /** The content of the last box, as written; null when there is none. */
  readonly extracted: string | null
  readonly correct: boolean
}

/**
 * Whether the last box holds the item's integer. `post` is the rule of the post's author in sibling code: the last match of
 * the expression must equal the answer as a text, so `1,000`, `$7$` and `007` fail there, and a box of anything but digits
 * is passed over in favour of an earlier one. Throws BAD_INPUT for an answer that is no integer: it cannot be scored.
 */
export function scoreMath(
  item: Pick<MathItem, 'answer'>,
  response: string,
  protocol: MathProtocol = 'reference',
): MathScore {
  const answer = canonicalInteger(item.answer)
  if (answer === null) {
    throw new LabError('BAD_INPUT', `the answer ${JSON.stringify(item.answer)} is no integer`, {
      hint: 'Only integer answers are scored: 293 of the 500 rows of MATH-500.',
    })
  }
  if (protocol === 'post') {
    const extracted = lastDigitBox(response)
    return { extracted, correct: extracted === item.answer }
  }
  const extracted = lastBoxed(response)
  return { extracted, correct: extracted !== null && canonicalInteger(extracted) === answer }
}

/**
 * What stands in the last balanced `\boxed{…}` or `\fbox{…}`: the one that starts last; also `\boxed 7`, up to white space
 * or the end of the formula. A box cut off before its brace closes is passed over, so an earlier complete one counts, and
 * so does the command's bare name in prose. Null when no box is complete.
 */
export function lastBoxed(response: string): string | null {
  const starts = [...response.matchAll(/\\(?:boxed|fbox)(?![a-zA-Z])\s*/gu)]
  const closed = closedBraces(response)
  for (const start of starts.toReversed()) {
    const from = start.index + start[0].length
    const end = closed.get(from)
    const held =
      response[from] !== '{' ? unbraced(response.slice(from)) : end ? response.slice(from + 1, end) : null
    if (held !== null) return held
  }
  return null
}

/** The post's: `boxed\{(-?\d+)\}`, digits as Python understands them. */
function lastDigitBox(response: string): string | null {
  const last = [...response.matchAll(/boxed\{(?<digits>-?\p{Nd}+)\}/gu)].at(-1)
  return last?.groups?.['digits'] ?? null
}

/** Where each brace that closes opened, and where it closes; `\{` and `\}` are text. In one pass: a response may be all braces. */
function closedBraces(text: string): Map<number, number> {
  const open: number[] = []
  const closed = new Map<number, number>()
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '{') open.push(i)
    else if (text[i] === '}') {
      const from = open.pop()
      if (from !== undefined) closed.set(from, i)
    }
  }
  return closed
}

/** A number or a command without braces around it; null for a word. */
function unbraced(text: string): string | null {
  return /^(?:[+\-\u2212]\s*)?(?:[0-9][^\s$\\]*|\\[a-zA-Z][^\s$]*)/u.exec(text)?.[0] ?? null
}
