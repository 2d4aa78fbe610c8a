/** Ids of a text whose pieces are encoded each by itself: every distinct piece is merged once, and words are found without a regular expression. */
import { z } from 'zod'
import { LabError } from '../errors.ts'
import { splitPattern, toByteCharacters } from './byte-level.ts'
import { bytePairMerger, longestMerged, type PieceMerger } from './byte-pairs.ts'
import { type LibraryTokenizer, SplitPreTokenizer } from './hf-tokenizers.ts'
import { hashWith, type Piece, pieceOf, PieceTable } from './piece-table.ts'
import { gpt2Pattern } from './pre-tokenizer.ts'

/** Appends the ids of a text. */
export type AppendIds = (text: string, into: number[]) => void

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const rest = String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

/**
 * Patterns (ours, GPT-2's, Qwen's, Llama 3's) by which ASCII letters, with a space before them or none, are one piece wherever
 * a piece starts, if the text ends after them or an ASCII character follows that is no letter.
 */
const wordPatterns: ReadonlySet<string> = new Set([
  splitPattern,
  gpt2Pattern,
  String.raw`${contractions}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}${rest}`,
  String.raw`${contractions}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}${rest}`,
])

const isolating = z.looseObject({ behavior: z.literal('Isolated'), invert: z.literal(false).default(false) })
const regex = z.looseObject({ pattern: z.looseObject({ Regex: z.string() }) })

/** What one split step makes of a text. */
interface Splitter {
  /** The library's own answer. */
  readonly pieces: (text: string) => readonly string[]
  /** Finds the piece at `lastIndex`, where one starts there; null: only the library splits. */
  readonly next: RegExp | null
  readonly hasWords: boolean
}

function splitterOf(step: unknown): Splitter {
  const split = new SplitPreTokenizer(step)
  const { pattern } = split
  const isolates = pattern !== null && isolating.safeParse(step).success
  return {
    pieces: (text) => split.pre_tokenize_text(text),
    next: isolates ? new RegExp(pattern.source, `${pattern.flags.replace('g', '')}y`) : null,
    hasWords: isolates && wordPatterns.has(regex.safeParse(step).data?.pattern.Regex ?? ''),
  }
}

/** Encodes a text without added tokens: `splits`, one after another, cut it into pieces whose ids depend on nothing else. */
export function pieceEncoder(
  model: unknown,
  library: LibraryTokenizer,
  splits: readonly unknown[],
): AppendIds {
  const splitters = splits.map(splitterOf)
  const last = splitters.pop()
  if (last === undefined) throw new LabError('INTERNAL', 'a text is cut by one step at least')
  const appendPieces = sectionEncoder(last, pieceMerger(model, library))
  if (splitters.length === 0) return appendPieces
  return (text, into) => {
    const sections = splitters.reduce<readonly string[]>((parts, { pieces }) => parts.flatMap(pieces), [text])
    for (const section of sections) appendPieces(section, into)
  }
}

/** Ids of one piece: merged here where that gives what the library gives, in less time. */
function pieceMerger(model: unknown, library: LibraryTokenizer): PieceMerger {
  const byLibrary: PieceMerger = (characters) =>
    library.model.encode([characters]).map((token) => {
      const id = library.token_to_id(token)
      if (id === undefined) throw new LabError('INTERNAL', `token ${JSON.stringify(token)} has no id`)
      return id
    })
  let merge: PieceMerger | null = null
  return (piece) => {
    const characters = toByteCharacters(piece)
    merge ??= bytePairMerger(model, (token) => library.token_to_id(token)) ?? byLibrary
    return characters.length <= longestMerged ? merge(characters) : byLibrary(characters)
  }
}

function sectionEncoder({ pieces, next, hasWords }: Splitter, merge: PieceMerger): AppendIds {
  const table = new PieceTable()
  const read = unitReader()

  const append = (text: string, piece: Piece, into: number[]): void => {
    if (table.append(piece, into)) return
    const ids = merge(text.slice(piece.from, piece.to))
    table.add(piece, ids)
    for (const id of ids) into.push(id)
  }

  const appendByLibrary: AppendIds = (text, into) => {
    for (const piece of pieces(text))
      if (piece !== '') append(piece, pieceOf(read(piece), 0, piece.length), into)
  }

  return (text, into) => {
    if (next === null) return appendByLibrary(text, into)
    const units = read(text)
    const { length } = text
    const begin = into.length
    for (let from = 0; from < length;) {
      let to = from
      let hash = 0
      if (hasWords) {
        let unit = units[from] as number
        const first = unit === space ? from + 1 : from
        if (first > from) {
          hash = hashWith(hash, unit)
          unit = units[first] as number
        }
        for (to = first; isAsciiLetter(unit); unit = units[++to] as number) hash = hashWith(hash, unit)
        // Any other letter would go on with the word.
        if (to === first || unit >= 128) to = from
      }
      if (to > from) {
        append(text, { units, from, to, hash }, into)
      } else {
        next.lastIndex = from
        if (!next.test(text) || next.lastIndex === from) {
          into.length = begin
          return appendByLibrary(text, into)
        }
        to = next.lastIndex
        append(text, pieceOf(units, from, to), into)
      }
      from = to
    }
  }
}

const space = 32

/** Of a and A to z and Z the sixth bit alone differs. */
function isAsciiLetter(unit: number): boolean {
  const lower = unit | 32
  return lower >= 97 && lower <= 122
}

/** The UTF-16 units of a text, then a 0 and anything; they stand until the next text is read. */
function unitReader(): (text: string) => Uint16Array {
  const kept = new Uint16Array(1 << 15)
  return (text) => {
    const units = text.length < kept.length ? kept : new Uint16Array(text.length + 1)
    Buffer.from(units.buffer).write(text, 'utf16le')
    units[text.length] = 0
    return units
  }
}
