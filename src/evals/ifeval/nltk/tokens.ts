/** Tokens of the Punkt algorithm: how a text is cut, and what each token says of itself (Kiss & Strunk 2006, section 3). */
import { isLower, isUpper, strip } from '../python.ts'
import { space, word } from './classes.ts'

/** Characters that end a word, period excepted, with curly quotes and guillemets as NLTK 3.10 has them. */
export const nonWord = String.raw`[)";}\]*:@'(\{\[\u2018\u2019\u201c\u201d\xab\xbb?!]`
const multiple = String.raw`(?:-{2,}|\.{2,}|(?:\.[${space}]){2,}\.)`
const end = String.raw`[${space}]|$|${nonWord}|${multiple}|,(?=$|[${space}]|${nonWord}|${multiple})`
const token = new RegExp(
  String.raw`${multiple}|(?=[^("\x60\{\[:;&#*@)\}\]\-,])[^${space}]+?(?=${end})|[^${space}]`,
  'gu',
)
const numeric = /^-?[.,]?\p{Nd}[\p{Nd},.-]*\.?$/u
const initial = new RegExp(String.raw`^(?!\p{Nd})[${word}]\.$`, 'u')

export interface Token {
  readonly text: string
  /** In lower case; numbers are all the same. */
  readonly type: string
  sentenceEnd: boolean
  abbreviation: boolean
  readonly ellipsis: boolean
}

/** The tokens, marked by their own form alone: an end mark, an ellipsis, a known abbreviation, a word with a period. */
export function punktTokens(text: string, abbreviations: ReadonlySet<string>): Token[] {
  return text.split('\n').flatMap((line) => {
    return strip(line) === '' ? [] : (line.match(token) ?? []).map((found) => marked(found, abbreviations))
  })
}

function marked(text: string, abbreviations: ReadonlySet<string>): Token {
  const lower = text.toLowerCase()
  const isMark = text === '.' || text === '?' || text === '!'
  const ellipsis = !isMark && /^\.\.+$/u.test(text)
  const stem = lower.slice(0, -1)
  const hasPeriod = !isMark && text.endsWith('.') && !text.endsWith('..')
  const abbreviation =
    hasPeriod && (abbreviations.has(stem) || abbreviations.has(stem.slice(stem.lastIndexOf('-') + 1)))
  return {
    text,
    type: numeric.test(lower) ? '##number##' : lower,
    sentenceEnd: isMark || (hasPeriod && !abbreviation),
    abbreviation,
    ellipsis,
  }
}

export function withoutPeriod({ type }: Token): string {
  return type.length > 1 && type.endsWith('.') ? type.slice(0, -1) : type
}

export function withoutSentencePeriod(it: Token): string {
  return it.sentenceEnd ? withoutPeriod(it) : it.type
}

export const isInitial = ({ text }: Token): boolean => initial.test(text)

const first = (text: string): string => String.fromCodePoint(text.codePointAt(0) ?? 0)
export const startsUpper = ({ text }: Token): boolean => isUpper(first(text))
export const startsLower = ({ text }: Token): boolean => isLower(first(text))
