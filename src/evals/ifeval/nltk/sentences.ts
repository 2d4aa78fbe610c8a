/** Sentences of English text as NLTK's Punkt splits them (Kiss & Strunk 2006; `nltk.tokenize.punkt` of NLTK 3.10). */
import { strip, stripEnd } from '../python.ts'
import { space } from './classes.ts'
import { context, type PunktParameters, punktParameters } from './parameters.ts'
import {
  isInitial,
  nonWord,
  punktTokens,
  startsLower,
  startsUpper,
  type Token,
  withoutPeriod,
  withoutSentencePeriod,
} from './tokens.ts'

/** A sentence lies from `from` up to, but without, `to`. */
interface Span {
  readonly from: number
  readonly to: number
}

const candidate = new RegExp(String.raw`[.?!](?=(${nonWord}|([${space}]+)([^${space}]+)))`, 'gu')
/** Closing punctuation that belongs to the sentence before. `$` of Python's multi-line mode is also before a newline. */
const closing = new RegExp(
  String.raw`^["')\]\}\u2018\u2019\u201c\u201d\xab\xbb]+?(?:[${space}]+|(?=--)|(?=\n|$))`,
  'u',
)

/** The sentences, without the white space between them. */
export function sentences(text: string): string[] {
  return realigned(text, roughSpans(text, punktParameters()))
}

/** Cut after each end mark that ends a sentence. */
function roughSpans(text: string, parameters: PunktParameters): Span[] {
  const spans: Span[] = []
  let from = 0
  for (const { at, next, around } of endContexts(text)) {
    if (!endsSentence(around, parameters)) continue
    spans.push({ from, to: at + 1 })
    from = next
  }
  return [...spans, { from, to: stripEnd(text).length }]
}

interface EndContext {
  /** Index of the end mark. */
  readonly at: number
  /** Where the next sentence would begin. */
  readonly next: number
  /** The word before the mark, the mark, and what follows. */
  readonly around: string
}

/** Of end marks in the same word, only the last is looked at. */
function endContexts(text: string): EndContext[] {
  const contexts: EndContext[] = []
  let last: (EndContext & Span) | undefined
  for (const match of text.matchAll(candidate)) {
    const [, after = '', gap = '', next] = match
    const at = match.index
    const searched = last?.to ?? 0
    const blank = lastBlank(text, searched, at)
    // A blank at the very beginning of the searched text counts as none, as in NLTK.
    const from = blank > searched ? blank + 1 : (last?.from ?? 0)
    if (last !== undefined && last.to <= from) contexts.push(last)
    const following = next === undefined ? at + 1 : at + 1 + gap.length
    last = { from, to: at, at, next: following, around: text.slice(from, at + 1) + after }
  }
  return last === undefined ? contexts : [...contexts, last]
}

/** The last of Python's `string.whitespace` in a part of the text, or -1. */
function lastBlank(text: string, from: number, to: number): number {
  for (let i = to - 1; i >= from; i--) if (' \t\n\r\v\f'.includes(text.charAt(i))) return i
  return -1
}

function endsSentence(around: string, parameters: PunktParameters): boolean {
  const tokens = punktTokens(around, parameters.abbreviations)
  for (const [i, token] of tokens.entries()) {
    const next = tokens[i + 1]
    if (next === undefined) return false
    reconsider(token, next, parameters)
    if (token.sentenceEnd) return true
  }
  return false
}

/** Second look at a token with a period, by the token after it (section 4). */
function reconsider(token: Token, next: Token, parameters: PunktParameters): void {
  if (!token.text.endsWith('.')) return
  const type = withoutPeriod(token)
  const nextType = withoutSentencePeriod(next)
  if (parameters.collocations.has(`${type}|${nextType}`)) {
    token.sentenceEnd = false
    token.abbreviation = true
    return
  }
  const initial = isInitial(token)
  const starts = startsSentence(next, parameters)
  if ((token.abbreviation || token.ellipsis) && !initial) {
    if (starts === true || (startsUpper(next) && parameters.sentenceStarters.has(nextType))) {
      token.sentenceEnd = true
      return
    }
  }
  if (!initial && type !== '##number##') return
  const alwaysUpper = startsUpper(next) && ((parameters.contexts.get(nextType) ?? 0) & context.lower) === 0
  if (starts === false || (starts === 'unknown' && initial && alwaysUpper)) {
    token.sentenceEnd = false
    token.abbreviation = true
  }
}

/** Whether the way a word is written here, and was in training, says that it begins a sentence. */
function startsSentence(token: Token, parameters: PunktParameters): boolean | 'unknown' {
  if (token.text.length === 1 && ';:,.!?'.includes(token.text)) return false
  const seen = parameters.contexts.get(withoutSentencePeriod(token)) ?? 0
  if (startsUpper(token) && (seen & context.lower) !== 0 && (seen & context.midUpper) === 0) return true
  if (startsLower(token) && ((seen & context.upper) !== 0 || (seen & context.beginLower) === 0)) return false
  return 'unknown'
}

/** Moves closing punctuation to the sentence that it closes; empty sentences are dropped. */
function realigned(text: string, spans: readonly Span[]): string[] {
  const found: string[] = []
  let skip = 0
  for (const [i, { from, to }] of spans.entries()) {
    const start = from + skip
    const next = spans[i + 1]
    const close = next === undefined ? null : closing.exec(text.slice(next.from, next.to))
    if (next !== undefined && close !== null) {
      found.push(text.slice(start, next.from + strip(close[0]).length))
      skip = close[0].length
    } else {
      if (start < to) found.push(text.slice(start, to))
      skip = 0
    }
  }
  return found
}
