/** The memory that a training, or sampling, is said to take, against the highest that a process of its own had. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ModelConfig } from '../../src/model/config.ts'
import { writeModelFolder } from '../../src/model/folder.ts'
import { loraTargets } from '../../src/model/peft.ts'
import { rng } from '../../src/rng.ts'
import type { Recipe, TrainJob } from '../../src/engine/engine.ts'
import { writePacks, type Pack } from '../../src/engine/packs.ts'
import { trainingCost } from '../../src/engine/embedded/cost.ts'
import { samplingCost } from '../../src/engine/embedded/sampling-cost.ts'
import { initialWeights } from '../../src/engine/init-weights.ts'
import { base } from '../../src/engine/embedded/small-model.fixture.ts'

const T = 256
const child = fileURLToPath(new URL('train-once.ts', import.meta.url))
const sampling = fileURLToPath(new URL('sample-once.ts', import.meta.url))

const common = {
  lr: 1e-3,
  schedule: 'constant',
  warmup: 0,
  batch: 4,
  steps: 1,
  weight_decay: 0.01,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
} as const
const adamw = { ...common, optimizer: 'adamw' } as const
const full: Recipe = { ...adamw, method: 'full' }
const soap: Recipe = {
  ...common,
  method: 'full',
  optimizer: 'soap',
  precondition_frequency: 10,
  max_precond_dim: 4096,
  one_sided_above: 512,
}
const lora: Recipe = { ...adamw, method: 'lora', lora: { rank: 16, alpha: 32, targets: loraTargets } }

const sized = (hiddenSize: number, layers: number, vocabSize: number): ModelConfig => ({
  ...base,
  vocabSize,
  hiddenSize,
  layers,
  heads: hiddenSize / 64,
  kvHeads: hiddenSize / 64,
  headDim: 64,
  ffnSize: 3 * hiddenSize,
  maxPositions: T,
})

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cost-'))
  mkdirSync(join(folder, 'tokenizer'))
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    writeFileSync(join(folder, 'tokenizer', name), '{}')
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Packs without padding, each token scored. */
async function writeFullPacks(file: string, vocabSize: number): Promise<void> {
  const random = rng(1, 'cost packs')
  const ids = (): Int32Array => Int32Array.from({ length: T }, () => random.int(vocabSize))
  const pack = (): Pack => ({ tokens: ids(), documents: new Int32Array(T), targets: ids() })
  await writePacks(file, Array.from({ length: common.batch * common.steps }, pack), { contextLength: T })
}

describe.skipIf(process.platform !== 'linux')('peak memory is predicted to 20%', () => {
  const cases: [string, ModelConfig, Recipe][] = [
    ['1M, full, AdamW', sized(128, 4, 1024), full],
    ['1M, LoRA', sized(128, 4, 1024), lora],
    ['8M, full, SOAP', sized(256, 8, 2048), soap],
    ['28M, full, AdamW', sized(448, 8, 16_384), { ...full, batch: 2 }],
    ['28M, LoRA', sized(448, 8, 16_384), { ...lora, batch: 2 }],
  ]
  it.each(cases)('%s', async (_name, config, recipe) => {
    const packs = join(folder, 'packs.bin')
    await writeFullPacks(packs, config.vocabSize)
    const tokenizerDir = join(folder, 'tokenizer')
    const model = join(folder, 'model')
    if (recipe.method === 'lora')
      await writeModelFolder(model, { config, weights: initialWeights(config, 1), tokenizerDir })
    const job: TrainJob = {
      start:
        recipe.method === 'lora' ? { from: 'folder', folder: model } : { from: 'random', config, seed: 1 },
      packs,
      recipe,
      checkpoints: [1],
      workDir: join(folder, 'work'),
      tokenizerDir,
    }
    rmSync(job.workDir, { recursive: true, force: true })
    const measured = Number(
      execFileSync(process.execPath, [child], { input: JSON.stringify(job) }).toString(),
    )
    expectNear(trainingCost({ config, recipe, contextLength: T }).memoryBytes, measured)
  })

  const whole = sized(448, 8, 16_384)
  const odd = { ...whole, headDim: 62, ffnSize: 1330 }
  const long = { ...whole, tied: false, maxPositions: 2048 }
  const models: [string, ModelConfig, { sequences: number; maxTokens: number }][] = [
    ['1M, sampled', sized(128, 4, 1024), { sequences: 1, maxTokens: 4 }],
    ['28M, sampled', whole, { sequences: 64, maxTokens: 4 }],
    ['28M, sampled, of sizes that are packed beside', odd, { sequences: 64, maxTokens: 4 }],
    ['35M, sampled, not tied, with a long cache', long, { sequences: 16, maxTokens: 20 }],
  ]
  it.each(models)('%s', async (_name, config, { sequences, maxTokens }) => {
    const model = join(folder, 'sampled')
    const tokenizerDir = join(folder, 'tokenizer')
    await writeModelFolder(model, { config, weights: initialWeights(config, 1), tokenizerDir })
    const prompt = Array<number>(config.maxPositions - 10).fill(5)
    const work = { folder: model, sequences, prompt, maxTokens }
    const measured = Number(
      execFileSync(process.execPath, [sampling], { input: JSON.stringify(work) }).toString(),
    )
    const positions = Math.min(config.maxPositions, prompt.length + maxTokens - 1)
    expectNear(samplingCost(config, { sequences, positions }).memoryBytes, measured)
  })
})

function expectNear(said: number, measured: number): void {
  const megabytes = `${Math.round(said / 1e6)} MB said, ${Math.round(measured / 1e6)} MB measured`
  expect(said / measured, megabytes).toBeGreaterThan(1 / 1.2)
  expect(said / measured, megabytes).toBeLessThan(1.2)
}
