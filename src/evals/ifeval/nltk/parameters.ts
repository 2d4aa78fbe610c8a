/** What NLTK's Punkt learned of English: abbreviations, collocations, sentence starters, and how words are written. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

export interface PunktParameters {
  readonly abbreviations: ReadonlySet<string>
  /** Two words, the first without its period, joined by `|`. */
  readonly collocations: ReadonlySet<string>
  readonly sentenceStarters: ReadonlySet<string>
  /** Of each word the contexts it was seen in, as a sum of `context`. */
  readonly contexts: ReadonlyMap<string, number>
}

/** Where a word was seen with which first letter. */
export const context = { midUpper: 4, upper: 2 + 4 + 8, beginLower: 16, lower: 16 + 32 + 64 } as const

/** Read-only and made from a file of the program itself: once a process is enough. */
let unpacked: PunktParameters | undefined

export function punktParameters(): PunktParameters {
  unpacked ??= unpack()
  return unpacked
}

function unpack(): PunktParameters {
  const file = new URL('../data/punkt.txt.gz', import.meta.url)
  const lines = gunzipSync(readFileSync(file)).toString('utf8').split('\n')
  const [abbreviations = '', collocations = '', starters = '', ...words] = lines
  return {
    abbreviations: new Set(abbreviations.split(' ')),
    collocations: new Set(collocations.split(' ')),
    sentenceStarters: new Set(starters.split(' ')),
    contexts: new Map(
      words.map((line) => {
        const tab = line.lastIndexOf('\t')
        return [line.slice(0, tab), Number(line.slice(tab + 1))] as const
      }),
    ),
  }
}
