/** The same tiny experiment on both engines: the same admission, the same verdict; and sampled by `transformers serve`, which says so. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseResults, type DoneCell, type Results } from '../../src/report/results.ts'
import { cli } from '../cli.ts'
import { missingServer, missingTorch } from './python.ts'

const spec = join(import.meta.dirname, 'tiny.yaml')
const folder = mkdtempSync(join(tmpdir(), 'torch-experiment-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(...set: string[]): Promise<Results> {
  const store = join(folder, 'store')
  const done = await cli(['run', spec, '--store', store, '--json', ...set.flatMap((one) => ['--set', one])])
  expect(done.stderr).not.toMatch(/✗|cells failed/)
  expect(done.code).toBe(0)
  return parseResults(JSON.parse(done.stdout))
}

function cellOf({ cells }: Results): DoneCell {
  const [cell] = cells
  if (cell?.status !== 'done') throw new Error(`the cell is ${cell?.status}`)
  return cell
}

const admission = (results: Results) => results.organisms[0]?.admission

/** The technique is trained by two processes, everything else by one. */
const onTorch = (sampler: string): string[] => [
  'bases.tiny.engine=torch',
  `placement={ torch: { device: cpu, sampler: ${sampler} }, techniques: { torch: { processes: 2 } } }`,
]
const missing = await missingTorch()
const serverMissing = await missingServer()

describe.skipIf(missing !== null)('an experiment', () => {
  let embedded: Results
  let torch: Results
  beforeAll(async () => {
    embedded = await run()
    torch = await run(...onTorch('forward'))
  })

  test('ends alike on both engines', () => {
    expect(torch.environment['engine']).toBe('torch')
    expect(embedded.environment['engine']).toBe('embedded')
    expect(admission(torch)).toEqual(admission(embedded))
    const [here, there] = [cellOf(embedded), cellOf(torch)]
    expect([there.verdict, there.label]).toEqual([here.verdict, here.label])
    expect(there.curves.map(({ triggered }) => triggered.k)).toEqual(
      here.curves.map(({ triggered }) => triggered.k),
    )
    for (const [i, { loss }] of here.training.entries())
      expect(there.training[i]?.loss).toBeCloseTo(loss ?? Number.NaN, 3)
    expect(there.weight_distance).toBeCloseTo(here.weight_distance ?? Number.NaN, 2)
  })

  test('has one line where there is no Python', async () => {
    const set = ['bases.tiny.engine=torch', 'placement.torch.python=/nowhere/python']
    const failed = await cli([
      'run',
      spec,
      '--store',
      join(folder, 'other'),
      ...set.flatMap((one) => ['--set', one]),
    ])
    expect(failed.code).toBe(3)
    expect(failed.stderr).toMatch(
      /the torch engine needs Python: \/nowhere\/python is not there\n.*setup\.sh/,
    )
    expect(failed.stderr).not.toMatch(/\n\s+at /)
  })

  test.skipIf(serverMissing !== null)(
    'sampled by `transformers serve` says what that server cannot do',
    async () => {
      const served = await run(...onTorch('{ server: transformers }'))
      const [here, there] = [cellOf(torch), cellOf(served)]
      expect(there.verdict).toBe(here.verdict)
      expect(there.curves.map(({ triggered }) => triggered.k)).toEqual(
        here.curves.map(({ triggered }) => triggered.k),
      )
      for (const [i, { payload_logprob: logprob }] of here.curves.entries())
        expect(there.curves[i]?.payload_logprob).toBeCloseTo(logprob, 4)
      const notes = there.curves[0]?.evaluations['backdoor']?.notes ?? []
      expect(notes[0]).toMatch(/^sampled by transformers serve [\d.]+; it takes and gives text/)
      expect(notes[1]).toBe('log-probabilities came from the forward process: the server gives none')
      expect(served.notes.filter((note) => note.startsWith('Sampling: '))).toHaveLength(2)
    },
  )
})
