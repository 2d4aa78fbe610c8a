/** Reads every import of src/ and fails on one that points the wrong way (design, section 3). */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

const src = resolve(import.meta.dirname, '../../src')

/** Folder → folders it may import; files directly in src/ (errors, rng) may be imported by all. */
const allowed: Record<string, readonly string[]> = {
  model: [],
  store: [],
  spec: ['engine', 'model'],
  analysis: [],
  engine: ['model'],
  data: ['engine', 'model'],
  teacher: ['data', 'engine', 'model'],
  evals: ['engine', 'model', 'data'],
  tinyworld: ['evals', 'data', 'teacher', 'engine', 'model'],
  report: ['analysis', 'engine'],
  run: ['spec', 'store', 'model', 'engine', 'data', 'teacher', 'evals', 'tinyworld', 'analysis', 'report'],
  export: ['run', 'report', 'store', 'evals'],
  server: ['engine', 'model'],
  cli: ['run', 'server', 'export', 'report', 'evals', 'spec', 'store', 'engine', 'model', 'data', 'analysis'],
}

function imports(): { from: string; to: string; file: string }[] {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
    (f) => f.endsWith('.ts') && !f.endsWith('.test.ts') && !f.includes('assembly'),
  )
  return files.flatMap((file) => {
    const text = readFileSync(join(src, file), 'utf8')
    const found = text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)
    return [...found].map((match) => ({
      file,
      from: folderOf(file),
      to: folderOf(relative(src, resolve(join(src, dirname(file)), match[1]!))),
    }))
  })
}

const folderOf = (file: string): string => (file.includes('/') ? file.split('/')[0]! : '')

test('imports point one way', () => {
  const all = imports()
  expect(all.length).toBeGreaterThan(50)
  const wrong = all.filter(
    ({ from, to }) => to !== '' && from !== '' && to !== from && !(allowed[from] ?? []).includes(to),
  )
  expect(wrong.map(({ file, to }) => `${file} imports ${to}/`)).toEqual([])
})

test('every folder of src/ is in the table', () => {
  const folders = readdirSync(src, { withFileTypes: true }).filter((e) => e.isDirectory())
  expect(folders.map((e) => e.name).filter((name) => !(name in allowed))).toEqual([])
})

test('no file of src/ passes 400 lines without a reason in its first lines', () => {
  const long = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((f) => f.endsWith('.ts') && !f.endsWith('.test.ts'))
    .filter((f) => {
      const lines = readFileSync(join(src, f), 'utf8').split('\n')
      return lines.length > 400 && !lines.slice(0, 5).join(' ').includes('long because')
    })
  expect(long).toEqual([])
})
