/** Tests of Parquet rows: several row groups, nested turns, and the types that JSON lacks. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parquetWriteBuffer, type ColumnSource } from 'hyparquet-writer'
import { afterAll, expect, test } from 'vitest'
import { loadPromptFile } from './prompts.ts'
import { readRows } from './read-rows.ts'

const folder = mkdtempSync(join(tmpdir(), 'parquet-'))
afterAll(() => rmSync(folder, { recursive: true }))

function fileOf(columnData: ColumnSource[], rowGroupSize: number): string {
  const file = join(folder, 'rows.parquet')
  writeFileSync(file, new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize })))
  return file
}

async function rowsOf(file: string) {
  const rows = []
  for await (const row of readRows(file)) rows.push(row)
  return rows
}

test('values are those that a JSON file would hold, and each row says its number, over row groups', async () => {
  const count = 25
  const each = <T>(value: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => value(i))
  const file = fileOf(
    [
      { name: 'text', data: each((i) => `Ä ${i} 😀`) },
      { name: 'none', data: each((i) => (i % 3 === 0 ? null : 'x')) },
      { name: 'big', data: each((i) => 2n ** 53n + BigInt(i)), type: 'INT64' },
      { name: 'small', data: each((i) => BigInt(i)), type: 'INT64' },
      { name: 'day', data: each((i) => new Date(Date.UTC(2024, 0, 1 + i))), type: 'TIMESTAMP' },
      { name: 'yes', data: each((i) => i % 2 === 0), type: 'BOOLEAN' },
    ],
    10,
  )
  const rows = await rowsOf(file)
  expect(rows.map(({ row, at }) => [row, at])).toEqual(each((i) => [i, { file, row: i }]))
  expect(rows[12]?.value).toEqual({
    text: 'Ä 12 😀',
    none: null,
    big: String(2n ** 53n + 12n),
    small: 12,
    day: '2024-01-13T00:00:00.000Z',
    yes: true,
  })
})

test('a reader that stops early leaves the file closed', async () => {
  const file = fileOf([{ name: 'prompt', data: ['a', 'b', 'c'], type: 'STRING' }], 1)
  const { rows } = await loadPromptFile(file, { rows: [0, 2] })
  expect(rows.map(({ prompt }) => prompt)).toEqual(['a', 'b'])
})
