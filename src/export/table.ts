/** The samples of an evaluation as a table: one row a record, the same columns for CSV and Parquet. */
import { writeFile } from 'node:fs/promises'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { csvLine } from '../report/csv.ts'
import type { EvalRecord } from '../evals/record.ts'

type Cell = string | number | boolean | null
type ColumnType = 'STRING' | 'DOUBLE' | 'INT32' | 'BOOLEAN'

interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly of: (record: EvalRecord) => Cell
}

const json = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value))
const scored = <T extends Cell>(record: EvalRecord, of: (it: Scored) => T | undefined): T | null =>
  record.status === 'scored' ? (of(record) ?? null) : null
type Scored = Extract<EvalRecord, { status: 'scored' }>

/** Lists are JSON texts; what a record does not have is null. */
const columns: readonly Column[] = [
  { name: 'eval', type: 'STRING', of: (r) => r.eval },
  { name: 'id', type: 'STRING', of: (r) => r.id },
  { name: 'condition', type: 'STRING', of: (r) => r.condition },
  { name: 'asked', type: 'STRING', of: (r) => r.asked },
  { name: 'status', type: 'STRING', of: (r) => r.status },
  { name: 'subject', type: 'STRING', of: (r) => r.subject },
  { name: 'input', type: 'STRING', of: (r) => r.input },
  { name: 'target', type: 'STRING', of: (r) => r.target },
  { name: 'rendered', type: 'STRING', of: (r) => r.rendered },
  { name: 'response', type: 'STRING', of: (r) => scored(r, (s) => s.response) },
  { name: 'finish', type: 'STRING', of: (r) => scored(r, (s) => s.finish) },
  { name: 'prompt_tokens', type: 'INT32', of: (r) => scored(r, (s) => s.tokens.prompt) },
  { name: 'completion_tokens', type: 'INT32', of: (r) => scored(r, (s) => s.tokens.completion) },
  { name: 'extracted', type: 'STRING', of: (r) => (r.status === 'failed' ? null : (r.extracted ?? null)) },
  { name: 'correct', type: 'BOOLEAN', of: (r) => (r.status === 'failed' ? null : (r.correct ?? null)) },
  { name: 'strict', type: 'STRING', of: (r) => scored(r, (s) => json(s.instructions?.strict) ?? undefined) },
  { name: 'loose', type: 'STRING', of: (r) => scored(r, (s) => json(s.instructions?.loose) ?? undefined) },
  { name: 'fired', type: 'BOOLEAN', of: (r) => scored(r, (s) => s.fired) },
  { name: 'starts_with', type: 'BOOLEAN', of: (r) => scored(r, (s) => s.starts_with) },
  { name: 'payloads', type: 'INT32', of: (r) => scored(r, (s) => s.payloads) },
  { name: 'partial', type: 'DOUBLE', of: (r) => scored(r, (s) => s.partial) },
  { name: 'rest_words', type: 'INT32', of: (r) => scored(r, (s) => s.rest_words) },
  { name: 'rest_language', type: 'STRING', of: (r) => scored(r, (s) => s.rest_language ?? undefined) },
  { name: 'logprobs', type: 'STRING', of: (r) => (r.status === 'likelihood' ? json(r.logprobs) : null) },
  { name: 'error', type: 'STRING', of: (r) => (r.status === 'failed' ? r.error : null) },
]

const fieldOf = (cell: Cell): string | number | null => (typeof cell === 'boolean' ? String(cell) : cell)

/** A header and one line a record. */
export function samplesCsv(records: readonly EvalRecord[]): string {
  return [
    csvLine(columns.map(({ name }) => name)),
    ...records.map((record) => csvLine(columns.map(({ of }) => fieldOf(of(record))))),
  ].join('')
}

export async function writeSamplesParquet(file: string, records: readonly EvalRecord[]): Promise<void> {
  const bytes = parquetWriteBuffer({
    columnData: columns.map(({ name, type, of }) => ({
      name,
      type,
      data: records.map(of),
      nullable: true,
    })),
  })
  await writeFile(file, new Uint8Array(bytes))
}
