/** A process that exits while its threads are inside a kernel ends with its own exit code. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'exit-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Exits 30 ms into a step that takes longer than that. */
const script = `
import { join } from 'node:path'
import { createEmbeddedTrainer } from '${new URL('trainer.ts', import.meta.url).href}'
import { writePacks } from '${new URL('../packs.ts', import.meta.url).href}'
const T = 128
const folder = process.argv[1]
const pack = { tokens: new Int32Array(T).fill(3), documents: new Int32Array(T), targets: new Int32Array(T).fill(3) }
await writePacks(join(folder, 'packs'), Array(96).fill(pack), { contextLength: T })
const config = { family: 'llama', ropeScaling: null, qkvBias: false, qkNorm: false, vocabSize: 512, hiddenSize: 128, layers: 4, heads: 4, kvHeads: 4, headDim: 32, ffnSize: 384,
  ropeTheta: 1e4, rmsEps: 1e-5, tied: true, maxPositions: T, bosId: null, eosIds: [], padId: null }
const recipe = { method: 'full', optimizer: 'adamw', lr: 1e-3, schedule: 'constant', warmup: 0, batch: 32,
  steps: 3, weight_decay: 0, beta1: 0.9, beta2: 0.95, eps: 1e-8, clip: 1 }
const job = { start: { from: 'random', config, seed: 1 }, packs: join(folder, 'packs'), recipe, checkpoints: [],
  workDir: join(folder, 'work'), tokenizerDir: folder, saveEvery: 0 }
const signal = new AbortController().signal
for await (const event of createEmbeddedTrainer().train(job, { signal })) {
  if (event.type === 'step') setTimeout(() => process.exit(75), 30)
}
`

it('leaves with the exit code it was given', () => {
  const args = ['--input-type=module', '-e', script, folder]
  const { status, signal, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect({ status, signal, stderr }).toEqual({ status: 75, signal: null, stderr: '' })
})
