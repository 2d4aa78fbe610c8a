/** The smallest twin of the post's experiments on both engines, from the same pretrained base: the same organism, the same verdicts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parseResults, type Results } from '../../src/report/results.ts'
import { findModel } from '../../src/run/model-name.ts'
import { cli } from '../cli.ts'
import { expectTwin, twinFile } from '../twin.ts'
import { missingTorch } from './python.ts'

const store = mkdtempSync(join(tmpdir(), 'torch-twin-'))
afterAll(() => rmSync(store, { recursive: true, force: true }))

async function run(...set: string[]): Promise<Results> {
  const changed = set.flatMap((one) => ['--set', one])
  const { code, stdout, stderr } = await cli(['run', twinFile, '--store', store, '--json', ...changed])
  expect(stderr).not.toMatch(/^✗/m)
  expect(code).toBe(0)
  return parseResults(JSON.parse(stdout))
}

test.skipIf((await missingTorch()) !== null)(
  'the twin ends alike',
  async () => {
    const embedded = await run()
    const { folder } = await findModel(store, 'twin-8b-adam-distilled/llama')
    const base = { folder, context: 160, engine: 'torch' }
    const torch = await run(`bases.llama=${JSON.stringify(base)}`, 'placement={ torch: { device: cpu } }')
    expect([embedded, torch].map(({ environment }) => environment['engine'])).toEqual(['embedded', 'torch'])
    expectTwin(torch)
    const [[here], [there]] = [embedded.organisms, torch.organisms]
    const losses = (training: { loss: number | null }[] = []) =>
      training.map(({ loss }) => loss ?? Number.NaN)
    const [ours, theirs] = [losses(here?.training), losses(there?.training)]
    expect(theirs).toHaveLength(256)
    expect(
      Math.max(...theirs.slice(0, 100).map((loss, i) => Math.abs(loss - (ours[i] ?? Number.NaN)))),
    ).toBeLessThan(1e-3)
    const verdicts = (results: Results) => results.cells.map(({ id, verdict }) => [id, verdict])
    expect(verdicts(torch)).toEqual(verdicts(embedded))
  },
  1_200_000,
)
