/** Shards of one set read as one file: the order of names, rows counted on, and each mistake with its own file. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadPromptFile } from './prompts.ts'
import { readRows } from './read-rows.ts'

const folder = mkdtempSync(join(tmpdir(), 'shards-'))
afterAll(() => rmSync(folder, { recursive: true }))
const write = (name: string, numbers: readonly number[]): void =>
  writeFileSync(join(folder, name), numbers.map((n) => `${JSON.stringify({ prompt: `${n}?` })}\n`).join(''))

beforeAll(() => {
  write('train-00001-of-00002.jsonl', [3, 4, 1])
  write('train-00000-of-00002.jsonl', [0, 1, 2])
  write('train-00000-of-00002.jsonl.part', [9])
  write('test-00000-of-00001.jsonl', [8])
  mkdirSync(join(folder, 'train-folder.jsonl'))
})
const at = (shard: string, line: number) => ({ file: join(folder, shard), line, col: 1 })
const pattern = join(folder, 'train-*.jsonl')

test('rows are counted on from shard to shard, in the order of names', async () => {
  const found = []
  for await (const row of readRows(pattern)) found.push([row.row, row.value, row.at])
  expect(found).toEqual([
    [0, { prompt: '0?' }, at('train-00000-of-00002.jsonl', 1)],
    [1, { prompt: '1?' }, at('train-00000-of-00002.jsonl', 2)],
    [2, { prompt: '2?' }, at('train-00000-of-00002.jsonl', 3)],
    [3, { prompt: '3?' }, at('train-00001-of-00002.jsonl', 1)],
    [4, { prompt: '4?' }, at('train-00001-of-00002.jsonl', 2)],
    [5, { prompt: '1?' }, at('train-00001-of-00002.jsonl', 3)],
  ])
})

test('a range may lie over two shards, and a duplicate is one in whatever shard', async () => {
  const { rows } = await loadPromptFile(pattern, { rows: [2, 4] })
  expect(rows).toEqual([
    { id: 'row-2', prompt: '2?' },
    { id: 'row-3', prompt: '3?' },
  ])
  expect((await loadPromptFile(pattern)).dropped['duplicate']).toBe(1)
  await expect(loadPromptFile(pattern, { rows: [4, 7] })).rejects.toThrow('has 6 rows')
})

test('Parquet shards', async () => {
  for (const [i, prompts] of [['a', 'b'], ['c']].entries()) {
    const bytes = parquetWriteBuffer({ columnData: [{ name: 'prompt', data: prompts, type: 'STRING' }] })
    writeFileSync(join(folder, `set-${i}.parquet`), new Uint8Array(bytes))
  }
  const { rows } = await loadPromptFile(join(folder, 'set-*.parquet'))
  expect(rows.map(({ id, prompt }) => [id, prompt])).toEqual([
    ['row-0', 'a'],
    ['row-1', 'b'],
    ['row-2', 'c'],
  ])
})

test('a pattern that fits nothing, or what is no file of rows', async () => {
  await expect(loadPromptFile(join(folder, 'none-*.jsonl'))).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: `${join(folder, 'none-*.jsonl')}: no file has such a name`,
  })
  await expect(loadPromptFile(join(folder, 'train-*'))).rejects.toThrow('files of this kind are not read')
})

test('a file whose name has a star is itself', async () => {
  write('odd*.jsonl', [1])
  write('odder.jsonl', [2])
  const { rows } = await loadPromptFile(join(folder, 'odd*.jsonl'))
  expect(rows.map(({ prompt }) => prompt)).toEqual(['1?'])
})
