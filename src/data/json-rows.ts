/** Reads the rows of a JSON array or a JSON Lines file one by one, in constant memory, each with its place in the file. */
import { TextDecoder } from 'node:util'
import { LabError, messageOf } from '../errors.ts'
import { splitArray, splitLines, type RawRow, type Splitter } from './row-splitters.ts'
import { readBytes } from './bytes.ts'
import type { JsonRow } from './rows.ts'

/** Every row of `file` (.json: one array; else one value a line; either may be gzipped). Throws BAD_INPUT. */
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
  return /\.json(\.gz)?$/i.test(file) ? splitArray(file) : splitLines(file)
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
    throw new LabError('BAD_INPUT', `row ${row} is not JSON: ${why}`, {
      at: raw.at,
      hint: hintFor(text),
      cause: error,
    })
  }
}

function hintFor(text: string): string | undefined {
  const start = text.trimStart()
  if (start.startsWith('[')) return 'one array of rows over several lines belongs in a .json file'
  if (/^[{}]\s*$/.test(start)) return 'in a .jsonl file each row stands on one line'
  if (/\b(NaN|-?Infinity)\b/.test(text)) return 'JSON has no NaN and no Infinity; write null'
  return undefined
}
