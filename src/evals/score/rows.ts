/** Reads item and response files for scoring: every row checked, every id once, each mistake told with its line. */
import type { z } from 'zod'
import { readRows } from '../../data/read-rows.ts'
import type { FilePosition } from '../../data/rows.ts'
import { LabError } from '../../errors.ts'

/** One row with its place, for the messages that come later. */
export interface ReadRow<T> {
  readonly value: T
  /** As it stands in the file. */
  readonly given: unknown
  readonly at: FilePosition
}

/** Every row of a file, checked. Throws BAD_INPUT with file and line; an empty file is a mistake too. */
export async function readCheckedRows<T>(file: string, schema: z.ZodType<T>): Promise<ReadRow<T>[]> {
  const rows: ReadRow<T>[] = []
  for await (const { row, value, at } of readRows(file)) {
    const parsed = schema.safeParse(value)
    if (!parsed.success) {
      const issue = parsed.error.issues[0]
      const where = issue?.path.map(String).join('.') ?? ''
      throw new LabError(
        'BAD_INPUT',
        `row ${row}: ${where === '' ? '' : `"${where}": `}${issue?.message ?? 'wrong shape'}`,
        { at, hint: columnsOf(value) },
      )
    }
    rows.push({ value: parsed.data, given: value, at })
  }
  if (rows.length === 0) throw new LabError('BAD_INPUT', `${file} holds no rows`)
  return rows
}

/**
 * The rows by their ids, in file order; `7` and `"7"` are one id. Throws BAD_INPUT at the second row of an id.
 * `noun` says what a row is, e.g. `item`.
 */
export function byId<T>(
  rows: readonly ReadRow<T>[],
  idOf: (value: T) => string | number,
  noun: string,
): Map<string, ReadRow<T>> {
  const found = new Map<string, ReadRow<T>>()
  for (const row of rows) {
    const id = String(idOf(row.value))
    const first = found.get(id)
    if (first !== undefined) {
      throw new LabError('BAD_INPUT', `a second ${noun} with the id ${JSON.stringify(id)}`, {
        at: row.at,
        hint: `the first stands in ${'line' in first.at ? `line ${first.at.line}` : `row ${first.at.row}`}`,
      })
    }
    found.set(id, row)
  }
  return found
}

function columnsOf(value: unknown): string {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    return 'a row is one JSON object: {…}'
  const keys = Object.keys(value)
  return keys.length === 0
    ? 'the row is empty'
    : `the row has: ${keys.slice(0, 12).join(', ')}${keys.length > 12 ? ', …' : ''}`
}
