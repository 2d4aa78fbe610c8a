/** Reads the rows of any data file one by one: JSON, JSON Lines, either of them gzipped, or Parquet. */
import { LabError } from '../errors.ts'
import { filesOf, isPattern } from '../shards.ts'
import { readJsonRows } from './json-rows.ts'
import { readParquetRows } from './parquet-rows.ts'
import type { JsonRow } from './rows.ts'

/** Whether the name is that of a file of rows. */
export const isRowFile = (file: string): boolean => /\.(parquet|(json|jsonl|ndjson)(\.gz)?)$/i.test(file)

/**
 * Every row of `file`, whose name says what it is: .json (one array), .jsonl or .ndjson, each also .gz, or .parquet. A name
 * with `*` stands for shards: their rows are counted on from file to file, in the order of names. Throws BAD_INPUT.
 */
export function readRows(file: string): AsyncGenerator<JsonRow> {
  return isPattern(file) ? readShards(file) : readFileRows(file)
}

async function* readShards(pattern: string): AsyncGenerator<JsonRow> {
  let rows = 0
  for (const file of await filesOf(pattern)) {
    for await (const { value, at } of readFileRows(file)) yield { row: rows++, value, at }
  }
}

function readFileRows(file: string): AsyncGenerator<JsonRow> {
  if (/\.parquet$/i.test(file)) return readParquetRows(file)
  if (isRowFile(file)) return readJsonRows(file)
  throw new LabError('BAD_INPUT', `${file}: files of this kind are not read`, {
    hint: 'name it .json (one array) or .jsonl (one row a line), .gz allowed, or .parquet',
  })
}
