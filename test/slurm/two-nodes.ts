/** What a batch script of two nodes runs: one training of two processes, one a node. Prints its steps, or why it failed, as JSON. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StepMetrics } from '../../src/engine/engine.ts'
import { writePacks } from '../../src/engine/packs.ts'
import { createTorchEngine } from '../../src/engine/torch/engine.ts'
import { launchOfSlurm } from '../../src/engine/torch/launch.ts'
import { testSettings } from '../../src/engine/torch/settings.fixture.ts'
import { LabError } from '../../src/errors.ts'
import { fourSteps, packs, T } from '../hundred-steps.ts'

const [folder = '', port] = process.argv.slice(2)
const launch = launchOfSlurm(process.env)
const torch = createTorchEngine({
  settings: testSettings({ processes: 2 }),
  launch: launch !== null && port !== undefined ? { ...launch, port: Number(port) } : launch,
})
mkdirSync(folder)
for (const file of ['tokenizer.json', 'tokenizer_config.json']) writeFileSync(join(folder, file), '{}')
await writePacks(join(folder, 'packs.bin'), packs, { contextLength: T })
const losses: StepMetrics['loss'][] = []
let processes = 0
let failure: string | null = null
try {
  const training = torch.trainer.train(fourSteps(folder, 'work'), {
    signal: new AbortController().signal,
  })
  for await (const event of training) {
    if (event.type === 'start') processes = event.threads
    if (event.type === 'step') losses.push(event.metrics.loss)
  }
} catch (error) {
  if (!(error instanceof LabError)) throw error
  failure = error.message
} finally {
  await torch.close()
}
const told = { nodes: launch?.nodes ?? 1, host: launch?.host ?? null, processes, losses, failure }
writeFileSync(join(folder, 'told.json'), JSON.stringify(told))
