/** Tests of the files that stages hand to each other. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { readJsonLines, writeJsonLines } from './json-lines.ts'

const schema = z.strictObject({ id: z.string(), text: z.string() })
const folder = mkdtempSync(join(tmpdir(), 'json-lines-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'rows.jsonl')

test('what is written is read back', async () => {
  const rows = Array.from({ length: 3000 }, (_, i) => ({ id: `${i}`, text: `ü\n${'x'.repeat(i % 50)}` }))
  await writeJsonLines(file, rows)
  expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(3001)
  expect(await readJsonLines(file, schema)).toEqual(rows)
})

test('no rows is a file without lines', async () => {
  await writeJsonLines(file, [])
  expect(await readJsonLines(file, schema)).toEqual([])
})

test('a row of another shape is named with its line', async () => {
  writeFileSync(file, '{"id": "a", "text": "b"}\n{"id": "a", "text": 3}\n')
  await expect(readJsonLines(file, schema)).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: expect.stringMatching(/^row 1: text: .*expected string/),
    at: { file, line: 2, col: 1 },
  })
})
