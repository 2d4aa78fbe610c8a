/** Parquet files as PyArrow writes them, in every compression, read as the rows that were written. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { loadPromptFile } from '../../src/data/prompts.ts'
import { missingPython } from './python.ts'

const python = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url))
const script = `
import sys, pyarrow, pyarrow.parquet
turns = lambda i: [{"from": "human", "value": f"Frage {i} ä?"}, {"from": "gpt", "value": f"Antwort {i} \\U0001F600"}]
rows = [{"conversations": turns(i), "n": i, "source": None if i % 2 else "x"} for i in range(1000)]
table = pyarrow.Table.from_pylist(rows)
pyarrow.parquet.write_table(table, sys.argv[1], compression=sys.argv[2], row_group_size=300, data_page_version=sys.argv[3])
`

const folder = mkdtempSync(join(tmpdir(), 'parquet-'))
afterAll(() => rmSync(folder, { recursive: true }))

function hasPyArrow(): boolean {
  try {
    execFileSync(python, ['-c', 'import pyarrow'], { stdio: 'ignore' })
    return true
  } catch {
    process.stderr.write('skipped: needs pyarrow in .venv (it comes with datasets)\n')
    return false
  }
}

describe.skipIf(missingPython() !== null || !hasPyArrow())('sharegpt rows of PyArrow', () => {
  it.each([
    ['none', '1.0'],
    ['snappy', '1.0'],
    ['snappy', '2.0'],
    ['gzip', '1.0'],
    ['zstd', '2.0'],
    ['brotli', '1.0'],
    ['lz4', '1.0'],
  ])('%s, pages %s', async (compression, pages) => {
    const file = join(folder, `${compression}.parquet`)
    execFileSync(python, ['-c', script, file, compression, pages])
    const { format, rows } = await loadPromptFile(file)
    expect(format).toBe('sharegpt')
    expect(rows).toEqual(
      Array.from({ length: 1000 }, (_, i) => ({
        id: `row-${i}`,
        prompt: `Frage ${i} ä?`,
        response: `Antwort ${i} \u{1F600}`,
      })),
    )
  })
})
