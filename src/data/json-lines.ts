/** Writes and reads the JSON Lines files that stages hand to each other, row by row. */
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { z } from 'zod'
import { LabError } from '../errors.ts'
import { readJsonRows } from './json-rows.ts'

/** One compact JSON document a line, in order; key order is the rows' own. */
export async function writeJsonLines(
  file: string,
  rows: Iterable<unknown> | AsyncIterable<unknown>,
): Promise<void> {
  await pipeline(Readable.from(lines(rows)), createWriteStream(file))
}

/** Every row, checked. Throws BAD_INPUT with the line of the first that does not have the schema's shape. */
export async function readJsonLines<T>(file: string, schema: z.ZodType<T>): Promise<T[]> {
  const rows: T[] = []
  for await (const { row, value, at } of readJsonRows(file)) {
    const parsed = schema.safeParse(value)
    if (!parsed.success) {
      const issue = parsed.error.issues[0]
      const where = issue?.path.join('.') || 'the row'
      throw new LabError('BAD_INPUT', `row ${row}: ${where}: ${issue?.message ?? 'wrong shape'}`, { at })
    }
    rows.push(parsed.data)
  }
  return rows
}

/** Lines joined to pieces of about 64 KiB, so that the stream is not asked once a row. */
async function* lines(rows: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<string> {
  let piece = ''
  for await (const row of rows) {
    piece += `${JSON.stringify(row)}\n`
    if (piece.length > 65_536) {
      yield piece
      piece = ''
    }
  }
  if (piece !== '') yield piece
}
