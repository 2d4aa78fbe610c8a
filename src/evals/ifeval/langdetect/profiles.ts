/** langdetect's profiles of 55 languages: how often each n-gram occurs in each, unpacked at the first use. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { LabError } from '../../../errors.ts'

export interface Profiles {
  readonly languages: readonly string[]
  /** Row of each n-gram of one to three characters. */
  readonly rows: ReadonlyMap<string, number>
  /** The same for n-grams of spaces and ASCII letters, by `latinKey`; -1 where there is none. */
  readonly latinRows: Int32Array
  /** Entries of row r are those from `starts[r]` to `starts[r + 1]`, by rising language. */
  readonly starts: Uint32Array
  readonly entryLanguages: Uint8Array
  /** Share of the n-gram among all n-grams of its length in that language. */
  readonly entryShares: Float64Array
  /** The character that stands for a Chinese character; for most it is itself. */
  readonly representatives: ReadonlyMap<number, number>
  /** A letter followed by a combining mark, as the one character that Vietnamese text has for the two. */
  readonly composed: ReadonlyMap<string, string>
}

/** A space is 1, `A` to `Z` and `a` to `z` follow; 0 for anything else, and for no character. */
export function latinIndex(code: number): number {
  if (code === 0x20) return 1
  if (code >= 0x61 && code <= 0x7a) return code - 0x61 + 28
  return code >= 0x41 && code <= 0x5a ? code - 0x41 + 2 : 0
}

/** Where an n-gram lies in `latinRows`; what it does not have before its last character is 0. */
export function latinKey(first: number, second: number, third: number): number {
  return (first << 12) | (second << 6) | third
}

/** Read-only and made from a file of the program itself: once a process is enough. */
let unpacked: Profiles | undefined

/** Throws INTERNAL when the program's own data file is damaged. */
export function languageProfiles(): Profiles {
  unpacked ??= unpack()
  return unpacked
}

function unpack(): Profiles {
  const file = new URL('../data/languages.txt.gz', import.meta.url)
  const text = gunzipSync(readFileSync(file)).toString('utf8')
  const [names = '', ones = '', twos = '', threes = '', kanji = '', vietnamese = ''] = text.split('\n', 6)
  const header = [names, ones, twos, threes, kanji, vietnamese].join('\n')
  const totals = [ones, twos, threes].map((line) => line.split(' ').map(Number))
  return {
    languages: names.split(' '),
    ...unpackCounts(text, header.length + 1, totals),
    representatives: representativesOf(kanji),
    composed: composedOf(vietnamese),
  }
}

const [space, newline, colon, zero] = [0x20, 0x0a, 0x3a, 0x30]

/** Lines of an n-gram, a tab, and `language:count` pairs, read character by character: there are 87,598 of them. */
function unpackCounts(text: string, from: number, totals: readonly (readonly number[])[]) {
  const rows = new Map<string, number>()
  const latinRows = new Int32Array(1 << 18).fill(-1)
  const starts: number[] = [0]
  const entryLanguages: number[] = []
  const entryShares: number[] = []
  for (let i = from; i < text.length;) {
    const tab = text.indexOf('\t', i)
    const ngram = text.slice(i, tab)
    const total = totals[ngram.length - 1] ?? []
    let language = 0
    let value = 0
    let code = 0
    for (i = tab + 1; code !== newline; i++) {
      code = i < text.length ? text.charCodeAt(i) : newline
      if (code === colon) language = value
      if (code === space || code === newline) {
        entryLanguages.push(language)
        entryShares.push(value / (total[language] ?? Number.NaN))
      }
      value = code >= zero && code < colon ? value * 10 + code - zero : 0
    }
    const indices = Array.from(ngram, (character) => latinIndex(character.charCodeAt(0)))
    if (!indices.includes(0)) {
      const [third = 0, second = 0, first = 0] = indices.toReversed()
      latinRows[latinKey(first, second, third)] = rows.size
    }
    rows.set(ngram, rows.size)
    starts.push(entryShares.length)
  }
  if (!entryShares.every(Number.isFinite)) throw new LabError('INTERNAL', 'damaged language profiles')
  return {
    rows,
    latinRows,
    starts: Uint32Array.from(starts),
    entryLanguages: Uint8Array.from(entryLanguages),
    entryShares: Float64Array.from(entryShares),
  }
}

/** Each word is a representative and the characters that it stands for. */
function representativesOf(line: string): Map<number, number> {
  return new Map(
    line.split(' ').flatMap((group) => {
      const [first = 0, ...members] = Array.from(group, (character) => character.codePointAt(0) ?? 0)
      return members.map((member) => [member, first] as const)
    }),
  )
}

/** The letters, the marks, and for each mark the letters that have it. */
function composedOf(line: string): Map<string, string> {
  const [letters = '', marks = '', ...byMark] = line.split(' ')
  return new Map(
    Array.from(marks).flatMap((mark, m) => {
      const composed = Array.from(byMark[m] ?? '')
      return Array.from(letters, (letter, l) => [letter + mark, composed[l] ?? ''] as const)
    }),
  )
}
