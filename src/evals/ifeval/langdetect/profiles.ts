/** langdetect's profiles of 55 languages: how often each n-gram occurs in each, unpacked at the first use. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { LabError } from '../../../errors.ts'

export interface Profiles {
  readonly languages: readonly string[]
  /** Row of each n-gram of one to three characters. */
  readonly rows: ReadonlyMap<string, number>
  /** Entries of row r are those from `starts[r]` to `starts[r + 1]`, by rising language. */
  readonly starts: Uint32Array
  readonly entryLanguages: Uint8Array
  /** Share of the n-gram among all n-grams of its length in that language. */
  readonly entryShares: Float64Array
  /** The character that stands for a Chinese character; for most it is itself. */
  readonly representatives: ReadonlyMap<string, string>
  /** A letter followed by a combining mark, as the one character that Vietnamese text has for the two. */
  readonly composed: ReadonlyMap<string, string>
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
  const lines = gunzipSync(readFileSync(file)).toString('utf8').split('\n')
  const [names = '', ones = '', twos = '', threes = '', kanji = '', vietnamese = '', ...ngrams] = lines
  const languages = names.split(' ')
  const totals = [ones, twos, threes].map((line) => line.split(' ').map(Number))
  const rows = new Map<string, number>()
  const starts = new Uint32Array(ngrams.length + 1)
  const entryLanguages: number[] = []
  const entryShares: number[] = []
  for (const [row, line] of ngrams.entries()) {
    const tab = line.indexOf('\t')
    const ngram = line.slice(0, tab)
    rows.set(ngram, row)
    const total = totals[ngram.length - 1]
    for (const entry of line.slice(tab + 1).split(' ')) {
      const colon = entry.indexOf(':')
      const language = Number(entry.slice(0, colon))
      const share = Number(entry.slice(colon + 1)) / (total?.[language] ?? 0)
      if (!Number.isFinite(share)) throw new LabError('INTERNAL', `damaged language profiles: ${line}`)
      entryLanguages.push(language)
      entryShares.push(share)
    }
    starts[row + 1] = entryShares.length
  }
  return {
    languages,
    rows,
    starts,
    entryLanguages: Uint8Array.from(entryLanguages),
    entryShares: Float64Array.from(entryShares),
    representatives: representativesOf(kanji),
    composed: composedOf(vietnamese),
  }
}

/** Each word is a representative and the characters that it stands for. */
function representativesOf(line: string): Map<string, string> {
  return new Map(
    line.split(' ').flatMap((group) => {
      const [first = '', ...members] = Array.from(group)
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
