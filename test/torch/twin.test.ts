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

/** Evaluated at its ends alone: what lies between takes the torch engine a minute more. */
async function run(...set: string[]): Promise<Results> {
  const changed = ['evals.at=[0,64]', ...set].flatMap((one) => ['--set', one])
  const { code, stdout, stderr } = await cli(['run', twinFile, '--store', store, '--json', ...changed])
  expect(stderr).not.toMatch(/^✗/m)
  expect(code).toBe(0)
  return parseResults(JSON.parse(stdout))
}

const lossesOf = ({ organisms }: Results) =>
  organisms[0]?.training.map(({ loss }) => loss ?? Number.NaN) ?? []
const verdictsOf = ({ cells }: Results) => cells.map(({ id, verdict }) => [id, verdict])

test.skipIf((await missingTorch()) !== null)(
  'the twin ends alike',
  async () => {
    const embedded = await run()
    const { folder } = await findModel(store, 'twin-8b-adam-distilled/llama')
    const base = { folder, context: 160, engine: 'torch' }
    const torch = await run(`bases.llama=${JSON.stringify(base)}`, 'placement={ torch: { device: cpu } }')
    expect([embedded, torch].map(({ environment }) => environment['engine'])).toEqual(['embedded', 'torch'])
    expectTwin(torch)
    expect(verdictsOf(torch)).toEqual(verdictsOf(embedded))
    const [here, there] = [lossesOf(embedded), lossesOf(torch)]
    expect(there).toHaveLength(here.length)
    const differences = there.map((loss, i) => Math.abs(loss - (here[i] ?? Number.NaN)))
    expect(Math.max(...differences.slice(0, 100))).toBeLessThan(1e-3)
  },
  1_200_000,
)
