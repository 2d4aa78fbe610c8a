/** Reads the rows of a JSON array or a JSON Lines file one by one, in constant memory, each with its place in the file. */
import { TextDecoder } from 'node:util'
import { LabError, messageOf, type SourcePosition } from '../errors.ts'
import { splitArray, splitLines, type RawRow, type Splitter } from './row-splitters.ts'
import { readBytes } from './bytes.ts'

export interface JsonRow {
  /** From 0, in file order. */
  readonly row: number
  readonly value: unknown
  readonly at: SourcePosition
}

const parquetHint =
  'convert it to JSON Lines, e.g. with pandas: read_parquet(...).to_json(..., orient="records", lines=True)'

/** Every row of `file` (.json: one array; .jsonl: one value a line; either may be gzipped). Throws BAD_INPUT. */
export async function* readJsonRows(file: string): AsyncGenerator<JsonRow> {
  const splitter = splitterFor(file)
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let row = 0
  for await (const chunk of readBytes(file)) {
    for (const raw of splitter.push(chunk)) yield parseRow(raw, row++, decoder)
  }
  for (const raw of splitter.end()) yield parseRow(raw, row++, decoder)
}

function splitterFor(file: string): Splitter {
  const name = file.toLowerCase().replace(/\.gz$/, '')
  if (name.endsWith('.json')) return splitArray(file)
  if (name.endsWith('.jsonl') || name.endsWith('.ndjson')) return splitLines(file)
  const hint = name.endsWith('.parquet')
    ? parquetHint
    : 'name it .json (one array) or .jsonl (one row a line), .gz allowed'
  throw new LabError('BAD_INPUT', `${file}: files of this kind are not read`, { hint })
}

function parseRow(raw: RawRow, row: number, decoder: TextDecoder): JsonRow {
  let text: string
  try {
    text = decoder.decode(raw.bytes)
  } catch (error) {
    throw new LabError('BAD_INPUT', `row ${row} is not valid UTF-8`, {
      at: raw.at,
      hint: 'save the file as UTF-8',
      cause: error,
    })
  }
  try {
    return { row, value: JSON.parse(text) as unknown, at: raw.at }
  } catch (error) {
    const why = messageOf(error).replaceAll(/\s+/g, ' ')
    throw new LabError('BAD_INPUT', `row ${row} is not JSON: ${why}`, { at: raw.at, cause: error })
  }
}
