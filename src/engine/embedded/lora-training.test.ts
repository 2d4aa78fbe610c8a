/** Whole trainings of adapters in threads: they learn, resume to the same bytes, share their base, and stand on each other. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ModelConfig } from '../../model/config.ts'
import { writeModelFolder } from '../../model/folder.ts'
import { readAdapter } from '../../model/peft.ts'
import { partsOf } from '../../model/weights-of.ts'
import type { Recipe, TrainEvent, TrainJob } from '../engine.ts'
import { writePacks } from '../packs.ts'
import { frozenBases, frozenWeights, readerEnded } from './frozen-base.ts'
import { loadKernels } from './kernels.ts'
import { readMergedWeights } from './merged-weights.ts'
import { openSampler } from './sampler.ts'
import { base, packsOf, weightsOf } from './small-model.fixture.ts'
import { createCores } from './cores.ts'
import { createEmbeddedTrainer, type EmbeddedTrainer } from './trainer.ts'

const config: ModelConfig = { ...base, kvHeads: 2 }
const T = 24
const recipe: Recipe = {
  method: 'lora',
  lora: { rank: 4, alpha: 8, targets: ['q_proj', 'v_proj', 'o_proj', 'down_proj'] },
  optimizer: 'adamw',
  lr: 2e-2,
  schedule: 'cosine',
  warmup: 0.1,
  batch: 4,
  steps: 24,
  weight_decay: 0.01,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
}
const never = new AbortController().signal

let folder = ''
let trainer: EmbeddedTrainer
let job: TrainJob

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lora-'))
  const tokenizerDir = join(folder, 'tokenizer')
  mkdirSync(tokenizerDir)
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    writeFileSync(join(tokenizerDir, name), '{}')
  await writeModelFolder(join(folder, 'model'), { config, weights: weightsOf(config), tokenizerDir })
  // The same four packs in every step: adapters can learn them.
  const packs = packsOf([[9, 8, 7], [20], [12, 12], [5, 6, 7]], T, 6)
  await writePacks(
    join(folder, 'packs.bin'),
    Array.from({ length: 24 * 4 }, (_, i) => packs[i % 4]!),
    {
      contextLength: T,
    },
  )
  trainer = createEmbeddedTrainer()
  job = {
    start: { from: 'folder', folder: join(folder, 'model'), name: '../../model', seed: 3 },
    packs: join(folder, 'packs.bin'),
    recipe,
    checkpoints: [24],
    workDir: '',
    tokenizerDir,
  }
})
afterAll(async () => {
  await trainer.close()
  rmSync(folder, { recursive: true })
})

const jobIn = (name: string, changes: Partial<TrainJob> = {}): TrainJob => {
  return { ...job, workDir: join(folder, name), ...changes }
}

async function runToEnd(whole: TrainJob, by: EmbeddedTrainer = trainer): Promise<TrainEvent[]> {
  const events: TrainEvent[] = []
  for await (const event of by.train(whole, { signal: never })) events.push(event)
  return events
}

/** A thread that begins to read a base, as `frozenWeights` does, and dies. */
const claimsAndDies = `
  const { threadId, workerData } = require('node:worker_threads')
  Atomics.compareExchange(new Int32Array(workerData), 0, 0, threadId + 1)
  process.exit(1)`

const losses = (events: readonly TrainEvent[]): number[] =>
  events.flatMap((event) => (event.type === 'step' ? [event.metrics.loss] : []))

const contentOf = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [name, readFileSync(join(dir, name)).toString('base64')]),
  )

describe('a training of adapters', () => {
  it('learns, and leaves an adapter folder with its state', async () => {
    const events = await runToEnd(jobIn('whole', { checkpoints: [11, 24] }))
    expect(events[0]).toMatchObject({ type: 'start', step: 0, parameters: 2 * 4 * (32 + 24 + 32 + 40) })
    const curve = losses(events)
    expect(curve[23]).toBeLessThan(0.6 * curve[0]!)
    expect(readdirSync(join(folder, 'whole/checkpoint-24')).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
      'metrics.jsonl',
      'optimizer.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
      'trainer_state.json',
    ])
    const { base: below } = await partsOf(join(folder, 'whole/checkpoint-24'))
    expect(below).toBe(join(folder, 'model'))
  })

  it('gives the same bytes from every state, with any number of threads, side by side on one base', async () => {
    const expected = contentOf(join(folder, 'whole/checkpoint-24'))
    cpSync(join(folder, 'whole/checkpoint-11'), join(folder, 'broken/checkpoint-11'), { recursive: true })
    const continued = await runToEnd(jobIn('broken'))
    expect(continued[0]).toMatchObject({ step: 11 })
    expect(contentOf(join(folder, 'broken/checkpoint-24'))).toEqual(expected)
    const other = createEmbeddedTrainer(createCores(3))
    const beside = [1, 2, 3].map((i) => jobIn(`beside-${i}`))
    await Promise.all(beside.map((own) => runToEnd(own, other)))
    await other.close()
    for (const { workDir } of beside) expect(contentOf(join(workDir, 'checkpoint-24'))).toEqual(expected)
  })

  it('begins elsewhere with another seed', async () => {
    const start = { ...job.start, seed: 4 } as TrainJob['start']
    const [first, ...rest] = losses(await runToEnd(jobIn('seed', { start })))
    const expected = losses(await runToEnd(jobIn('seed-3')))
    expect(first).toBe(expected[0])
    expect(rest).not.toEqual(expected.slice(1))
  })

  it('is computed by the sampler as it was trained', async () => {
    const sampler = await openSampler(join(folder, 'whole/checkpoint-24'))
    const [pack] = packsOf([[9, 8, 7], [20], [12, 12], [5, 6, 7]], T, 6)
    const prompt = [...pack!.tokens.subarray(0, 4)]
    const continuation = [...pack!.tokens.subarray(4, 9), pack!.targets[8]!]
    const request = { id: 'a', prompt, continuation }
    const [trained] = await sampler.sequenceLogprob([request], { signal: never })
    await sampler.close()
    const before = await openSampler(join(folder, 'model'))
    const [untrained] = await before.sequenceLogprob([request], { signal: never })
    await before.close()
    // Its six tokens are scored in every step.
    expect(trained!.logprob).toBeGreaterThan(untrained!.logprob + 6)
  })

  it('starts from an adapter: that one is merged, and a fresh one stands on it', async () => {
    const first = join(folder, 'whole/checkpoint-24')
    const start = { from: 'folder', folder: first, name: '../../whole/checkpoint-24', seed: 1 } as const
    const events = await runToEnd(jobIn('second', { start, recipe: { ...recipe, lr: 1e-3 } }))
    const reached = losses(await runToEnd(jobIn('reached'))).at(-1)!
    expect(losses(events)[0]).toBeLessThan(1.1 * reached)
    const second = join(folder, 'second/checkpoint-24')
    const parts = await partsOf(second)
    expect(parts.adapters).toEqual([first, second])
    expect((await readAdapter(second, config)).weights).not.toEqual(
      (await readAdapter(first, config)).weights,
    )
    // Full training from the adapter begins with the same weights.
    const full = await runToEnd(jobIn('full', { start, recipe: { ...recipe, method: 'full' } as Recipe }))
    expect(losses(full)[0]).toBeCloseTo(losses(events)[0]!, 6)
    expect((await partsOf(join(folder, 'full/checkpoint-24'))).adapters).toEqual([])
  })

  it('is refused beside random weights', async () => {
    const start = { from: 'random', config, seed: 1 } as const
    await expect(runToEnd(jobIn('random', { start }))).rejects.toThrow(/beside random weights/)
  })
})

describe('a frozen base', () => {
  it('is one copy as long as somebody uses it, read once, and another if its files changed', async () => {
    const bases = frozenBases()
    const parts = await partsOf(join(folder, 'whole/checkpoint-24'))
    const one = await bases.take(parts)
    const two = await bases.take(parts)
    expect(two).toBe(one)
    const k = loadKernels()
    expect(await frozenWeights(k, one)).toEqual(await readMergedWeights(k, parts))
    bases.release(one)
    expect(await bases.take(parts)).toBe(two)
    const file = join(folder, 'model/model.safetensors')
    writeFileSync(file, readFileSync(file))
    const changed = await bases.take(parts)
    expect(changed).not.toBe(two)
    bases.release(changed)
    bases.release(two)
    bases.release(two)
    expect(await bases.take(parts)).not.toBe(changed)
  })

  it('that cannot be read is told to whoever asks', async () => {
    const parts = await partsOf(join(folder, 'model'))
    const broken = { ...parts, base: join(folder, 'tokenizer') }
    const bases = frozenBases()
    const own = await bases.take(broken)
    const k = loadKernels()
    for (const attempt of [1, 2])
      await expect(frozenWeights(k, own), String(attempt)).rejects.toMatchObject({ code: 'BAD_MODEL' })
  })
  it('is read by another thread when the one that reads dies, and who waits can be stopped', async () => {
    const bases = frozenBases()
    const own = await bases.take(await partsOf(join(folder, 'model')))
    const state = new Int32Array(own.state)
    const k = loadKernels()
    const dead = new Worker(claimsAndDies, { eval: true, workerData: own.state })
    const { threadId } = dead
    await once(dead, 'exit')
    expect(state[0]).toBe(threadId + 1)
    await expect(frozenWeights(k, own, () => true)).rejects.toMatchObject({ code: 'INTERRUPTED' })
    readerEnded(own, threadId + 1)
    expect(state[0]).toBe(threadId + 1)
    readerEnded(own, threadId)
    expect(await frozenWeights(k, own)).toEqual(weightsOf(config))
    readerEnded(own, threadId)
    expect(await frozenWeights(k, own, () => true)).toEqual(weightsOf(config))
  })
})
