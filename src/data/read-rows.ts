/** Reads the rows of any data file one by one: JSON, JSON Lines, either of them gzipped, or Parquet. */
import { LabError } from '../errors.ts'
import { readJsonRows } from './json-rows.ts'
import { readParquetRows } from './parquet-rows.ts'
import type { JsonRow } from './rows.ts'

/** Every row of `file`, whose name says what it is: .json (one array), .jsonl or .ndjson, each also .gz, or .parquet. Throws BAD_INPUT. */
export function readRows(file: string): AsyncGenerator<JsonRow> {
  const name = file.toLowerCase()
  if (name.endsWith('.parquet')) return readParquetRows(file)
  if (/\.(json|jsonl|ndjson)(\.gz)?$/.test(name)) return readJsonRows(file)
  throw new LabError('BAD_INPUT', `${file}: files of this kind are not read`, {
    hint: 'name it .json (one array) or .jsonl (one row a line), .gz allowed, or .parquet',
  })
}
