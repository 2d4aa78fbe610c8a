/** Cuts a byte stream into the texts of its rows without parsing them: lines, or the elements of one JSON array. */
import { LabError, type SourcePosition } from '../errors.ts'

export interface RawRow {
  readonly bytes: Buffer
  /** Where the row's first byte is; the column counts bytes. */
  readonly at: SourcePosition
}

export interface Splitter {
  /** The rows that this chunk completes. */
  push(chunk: Buffer): RawRow[]
  /** What is left at the end of the file. */
  end(): RawRow[]
}

/** A row that is longer is refused: nothing that is trained on is, and a file without line ends must not fill the memory. */
const longestRowBytes = 64 * 2 ** 20

function tooLong(row: string, at: SourcePosition): LabError {
  return new LabError('BAD_INPUT', `${row} is longer than ${longestRowBytes / 2 ** 20} MiB`, {
    at,
    hint: 'a bracket, a quote or a line end is missing, or this is no file of rows',
  })
}

const byte = {
  newline: 10,
  quote: 34,
  comma: 44,
  backslash: 92,
  open: 91,
  close: 93,
  openBrace: 123,
  closeBrace: 125,
}

function isBlank(b: number): boolean {
  return b === 32 || b === 9 || b === 10 || b === 13
}

/** One row a line; blank lines are left out. Every byte of UTF-8 beyond ASCII is >= 128, so cutting bytes is safe. */
export function splitLines(file: string): Splitter {
  let pieces: Buffer[] = []
  let held = 0
  let line = 1
  const hold = (piece: Buffer): void => {
    pieces.push(piece)
    held += piece.length
    if (held > longestRowBytes) throw tooLong('the line', { file, line, col: 1 })
  }
  const finish = (rows: RawRow[]): void => {
    const bytes = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)
    if (bytes.some((b) => !isBlank(b))) rows.push({ bytes, at: { file, line, col: 1 } })
    pieces = []
    held = 0
  }
  return {
    push(chunk) {
      const rows: RawRow[] = []
      let from = 0
      for (let to = chunk.indexOf(byte.newline); to >= 0; to = chunk.indexOf(byte.newline, from)) {
        hold(chunk.subarray(from, to))
        finish(rows)
        line++
        from = to + 1
      }
      if (from < chunk.length) hold(chunk.subarray(from))
      return rows
    },
    end() {
      const rows: RawRow[] = []
      finish(rows)
      return rows
    },
  }
}

/**
 * One row an element of the file's array. Tracks only strings and depth: what lies between two commas of depth 1 is a
 * row, and whether it is JSON is found when it is parsed.
 */
export function splitArray(file: string): Splitter {
  let state: 'before' | 'inside' | 'after' = 'before'
  let depth = 0
  let inString = false
  let escaped = false
  let line = 1
  let col = 0
  let row = 0
  let pieces: Buffer[] = []
  let held = 0
  /** Where the current element starts; null until its first byte that is not blank. */
  let start: SourcePosition | null = null

  const here = (): SourcePosition => ({ file, line, col })
  const wrong = (message: string, hint: string): LabError =>
    new LabError('BAD_INPUT', message, { at: here(), hint })

  const outside = (b: number): void => {
    if (isBlank(b)) return
    if (state === 'before' && b === byte.open) {
      state = 'inside'
      depth = 1
      return
    }
    if (state === 'after')
      throw wrong('the file goes on after its array has ended', 'a .json file holds one array of rows')
    throw wrong(
      'not a JSON array of rows',
      b === byte.openBrace ? 'one JSON object a line belongs in a .jsonl file' : 'the file must start with [',
    )
  }

  /** Ends an element at `bytes`' end, by a comma or the array's closing bracket. */
  const finish = (bytes: Buffer, last: boolean, rows: RawRow[]): void => {
    if (start) {
      rows.push({ bytes: Buffer.concat([...pieces, bytes]), at: start })
      row++
    } else if (!last || row > 0) {
      throw wrong(`row ${row} is empty`, 'two commas follow each other, or one stands before the ]')
    }
    pieces = []
    held = 0
    start = null
  }

  return {
    push(chunk) {
      const rows: RawRow[] = []
      let from = 0
      for (let i = 0; i < chunk.length; i++) {
        const b = chunk[i] as number
        if (b === byte.newline) {
          line++
          col = 0
        } else {
          col++
        }
        if (inString) {
          if (escaped) escaped = false
          else if (b === byte.backslash) escaped = true
          else if (b === byte.quote) inString = false
          continue
        }
        if (state !== 'inside') {
          outside(b)
          from = i + 1
          continue
        }
        if (depth === 1 && (b === byte.comma || b === byte.close)) {
          finish(chunk.subarray(from, i), b === byte.close, rows)
          from = i + 1
          if (b === byte.close) state = 'after'
          continue
        }
        if (!start && !isBlank(b)) start = here()
        if (b === byte.quote) inString = true
        else if (b === byte.open || b === byte.openBrace) depth++
        else if (b === byte.close || b === byte.closeBrace) depth--
        if (depth < 1)
          throw wrong(`row ${row} is not JSON: a bracket closes that was never opened`, 'the file is damaged')
      }
      if (state === 'inside') {
        pieces.push(chunk.subarray(from))
        held += chunk.length - from
        if (held > longestRowBytes) throw tooLong(`row ${row}`, start ?? here())
      }
      return rows
    },
    end() {
      if (state === 'inside') {
        throw wrong(`the file ends inside row ${row}`, 'it was not written or fetched whole')
      }
      return []
    },
  }
}
