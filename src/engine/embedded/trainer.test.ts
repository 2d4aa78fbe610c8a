/** Whole trainings in threads: they learn, resume to the same bytes, stop on request and say what went wrong. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ModelConfig } from '../../model/config.ts'
import { rng } from '../../rng.ts'
import type { Recipe, TrainEvent, TrainJob } from '../engine.ts'
import { writePacks, type Pack } from '../packs.ts'
import { createCores } from './cores.ts'
import { createEmbeddedTrainer, type EmbeddedTrainer } from './trainer.ts'

const config: ModelConfig = {
  family: 'llama',
  vocabSize: 32,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  ffnSize: 24,
  ropeTheta: 10_000,
  ropeScaling: null,
  qkvBias: false,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 32,
  bosId: null,
  eosIds: [4],
  padId: 0,
}
const recipe: Recipe = {
  method: 'full',
  optimizer: 'adamw',
  lr: 3e-2,
  schedule: 'cosine',
  warmup: 0.1,
  batch: 4,
  steps: 20,
  weight_decay: 0.01,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
}
const T = 16

let folder: string
let trainer: EmbeddedTrainer
let job: TrainJob
const never = new AbortController().signal

/** Two documents a pack that count upwards: easy to learn. */
function* countingPacks(count: number): Iterable<Pack> {
  const random = rng(1, 'counting')
  for (let p = 0; p < count; p++) {
    const starts = [random.int(12), random.int(12)]
    const documents = Int32Array.from({ length: T }, (_, t) => (t < T - 2 ? Math.floor(t / 7) : -1))
    const tokens = documents.map((d, t) => (d < 0 ? 0 : 5 + (starts[d] as number) + (t % 7)))
    const targets = documents.map((d, t) => (d < 0 ? -1 : 6 + (starts[d] as number) + (t % 7)))
    yield { tokens, documents, targets }
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trainer-'))
  const tokenizerDir = join(folder, 'tokenizer')
  mkdirSync(tokenizerDir)
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    writeFileSync(join(tokenizerDir, name), '{}')
  const packs = join(folder, 'packs.bin')
  await writePacks(packs, countingPacks(1200), { contextLength: T })
  trainer = createEmbeddedTrainer()
  job = {
    start: { from: 'random', config, seed: 1 },
    packs,
    recipe,
    checkpoints: [20],
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

async function runToEnd(whole: TrainJob): Promise<TrainEvent[]> {
  const events: TrainEvent[] = []
  for await (const event of trainer.train(whole, { signal: never })) events.push(event)
  return events
}

/** Runs until `steps` steps have been reported, then aborts; resolves with the milliseconds until it rejected. */
async function runAndAbort(whole: TrainJob, steps: number): Promise<number> {
  const controller = new AbortController()
  let seen = 0
  let aborted = 0
  try {
    for await (const event of trainer.train(whole, { signal: controller.signal })) {
      if (event.type === 'step' && ++seen === steps) {
        aborted = performance.now()
        setImmediate(() => controller.abort())
      }
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'INTERRUPTED' })
    return performance.now() - aborted
  }
  throw new Error('the training was not interrupted')
}

/** File name -> bytes as base64. */
const contentOf = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [name, readFileSync(join(dir, name)).toString('base64')]),
  )

const losses = (events: TrainEvent[]): number[] =>
  events.flatMap((event) => (event.type === 'step' ? [event.metrics.loss] : []))

describe('a training', () => {
  it('learns, reports every step, and leaves a complete checkpoint', async () => {
    const events = await runToEnd(jobIn('whole', { checkpoints: [7, 20] }))
    expect(events[0]).toEqual({ type: 'start', step: 0, parameters: 4432, threads: expect.any(Number) })
    const curve = losses(events)
    expect(curve).toHaveLength(20)
    expect(curve[0]).toBeGreaterThan(0.9 * Math.log(32))
    expect(curve[19]).toBeLessThan(2)
    expect(events.at(-1)).toEqual({
      type: 'checkpoint',
      step: 20,
      folder: join(folder, 'whole/checkpoint-20'),
    })
    expect(readdirSync(join(folder, 'whole'))).toEqual(['checkpoint-20', 'checkpoint-7'])
    expect(readdirSync(join(folder, 'whole/checkpoint-7')).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'metrics.jsonl',
      'model.safetensors',
      'optimizer.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
      'trainer_state.json',
    ])
    const first = events.find((event) => event.type === 'step')
    expect(first).toMatchObject({ metrics: { step: 1, lr: 0, tokens: 56, scored: 56 } })
  })

  it('gives the same bytes again', async () => {
    await runToEnd(jobIn('again'))
    expect(contentOf(join(folder, 'again/checkpoint-20'))).toEqual(
      contentOf(join(folder, 'whole/checkpoint-20')),
    )
  })

  it('gives the same bytes after interruptions, from rolling states and from a checkpoint', async () => {
    // Long enough that it is far from its end when the interruption arrives.
    const long = { checkpoints: [120], recipe: { ...recipe, steps: 120 }, saveEvery: 3 }
    await runToEnd(jobIn('unbroken', long))
    expect(await runAndAbort(jobIn('broken', long), 5)).toBeLessThan(1000)
    await runAndAbort(jobIn('broken', long), 4)
    const events = await runToEnd(jobIn('broken', long))
    expect((events[0] as { step: number }).step).toBeGreaterThanOrEqual(6)
    expect(contentOf(join(folder, 'broken/checkpoint-120'))).toEqual(
      contentOf(join(folder, 'unbroken/checkpoint-120')),
    )

    const continued = await runToEnd(jobIn('continued', { resumeFrom: join(folder, 'whole/checkpoint-7') }))
    expect(continued[0]).toMatchObject({ step: 7 })
    expect(contentOf(join(folder, 'continued/checkpoint-20'))).toEqual(
      contentOf(join(folder, 'whole/checkpoint-20')),
    )
  })

  it('passes over damaged and half-written states', async () => {
    const work = join(folder, 'damaged')
    mkdirSync(join(work, '.writing-12'), { recursive: true })
    cpSync(join(folder, 'whole/checkpoint-7'), join(work, 'checkpoint-7'), { recursive: true })
    truncateSync(join(work, 'checkpoint-7/optimizer.safetensors'), 5000)
    const events = await runToEnd(jobIn('damaged'))
    expect(events[0]).toMatchObject({ step: 0 })
    expect(existsSync(join(work, '.writing-12'))).toBe(false)
    const given = runToEnd(jobIn('refused', { resumeFrom: join(work, 'checkpoint-7') }))
    await expect(given).rejects.toThrow(/optimizer.safetensors/)
  })

  it('reports checkpoints that are there already, and does not train', async () => {
    const events = await runToEnd(jobIn('whole', { checkpoints: [7, 20] }))
    expect(events.map((event) => event.type)).toEqual(['start', 'checkpoint', 'checkpoint'])
  })

  it('makes checkpoints of another recipe again', async () => {
    cpSync(join(folder, 'whole'), join(folder, 'stale'), { recursive: true })
    const slower = jobIn('stale', { recipe: { ...recipe, lr: 1e-3 } })
    expect(losses(await runToEnd(slower))).toHaveLength(20)
    expect(contentOf(join(folder, 'stale/checkpoint-20'))).not.toEqual(
      contentOf(join(folder, 'whole/checkpoint-20')),
    )
  })

  it('goes on from a model folder with fresh optimizer state', async () => {
    const start = { from: 'folder', folder: join(folder, 'whole/checkpoint-20') } as const
    const events = await runToEnd(jobIn('finetuned', { start }))
    expect(losses(events)[0]).toBeLessThan(2)
  })

  it('gives the same bytes with any number of threads, and beside other trainings', async () => {
    const reference = contentOf(join(folder, 'whole/checkpoint-20'))
    for (const threads of [1, 3]) {
      const other = createEmbeddedTrainer(createCores(threads))
      const all = Array.from({ length: threads }, async (_, i) => {
        const own = jobIn(`threads-${threads}-${i}`)
        for await (const event of other.train(own, { signal: never })) expect(event).toBeDefined()
        return contentOf(join(own.workDir, 'checkpoint-20'))
      })
      for (const content of await Promise.all(all)) expect(content).toEqual(reference)
      await other.close()
    }
  })

  it('with SOAP learns too, and gives the same bytes from a checkpoint and with any number of threads', async () => {
    const soap = {
      ...recipe,
      optimizer: 'soap',
      precondition_frequency: 5,
      max_precond_dim: 4096,
      one_sided_above: 512,
    } as const
    const events = await runToEnd(jobIn('soap', { recipe: soap, checkpoints: [13, 20] }))
    expect(losses(events)[19]).toBeLessThan(2)
    const reference = contentOf(join(folder, 'soap/checkpoint-20'))
    const optimizer = readFileSync(join(folder, 'soap/checkpoint-20/optimizer.safetensors'), 'latin1')
    expect(optimizer).toContain('"soap.model.layers.1.mlp.up_proj.weight.Q0"')
    const resumeFrom = join(folder, 'soap/checkpoint-13')
    const continued = await runToEnd(jobIn('soap-continued', { recipe: soap, resumeFrom }))
    expect(continued[0]).toMatchObject({ step: 13 })
    expect(contentOf(join(folder, 'soap-continued/checkpoint-20'))).toEqual(reference)
    const other = createEmbeddedTrainer(createCores(3))
    const threaded = jobIn('soap-threads', { recipe: soap })
    for await (const event of other.train(threaded, { signal: never })) expect(event).toBeDefined()
    await other.close()
    expect(contentOf(join(folder, 'soap-threads/checkpoint-20'))).toEqual(reference)
    const unrefreshed = jobIn('soap-never', { recipe: { ...soap, precondition_frequency: 0 } })
    await expect(runToEnd(unrefreshed)).rejects.toThrow(/precondition_frequency is 0/)
    const unlimited = jobIn('soap-limits', { recipe: { ...soap, max_precond_dim: Number.POSITIVE_INFINITY } })
    await expect(runToEnd(unlimited)).rejects.toThrow(/max_precond_dim is Infinity/)
  })
})

describe('what goes wrong', () => {
  it('stops at the step whose loss is not finite, and trains again after', async () => {
    const diverging = jobIn('diverging', { recipe: { ...recipe, lr: 1e38, warmup: 0, schedule: 'constant' } })
    await expect(runToEnd(diverging)).rejects.toMatchObject({
      code: 'ENGINE',
      message: expect.stringMatching(/^step \d+: the loss is/),
    })
    expect(losses(await runToEnd(jobIn('after')))).toHaveLength(20)
  })

  it('refuses a state of another recipe, too few packs, and recipes that make no sense', async () => {
    const resumeFrom = join(folder, 'whole/checkpoint-7')
    const other = jobIn('other', { resumeFrom, recipe: { ...recipe, lr: 2e-2 } })
    await expect(runToEnd(other)).rejects.toThrow(/state of another training/)
    const longer = jobIn('longer', { checkpoints: [301], recipe: { ...recipe, steps: 301 } })
    await expect(runToEnd(longer)).rejects.toThrow(/has 1200 packs; the training reads 1204/)
    const odd = jobIn('odd', { recipe: { ...recipe, warmup: 2 } })
    await expect(runToEnd(odd)).rejects.toMatchObject({ code: 'BAD_INPUT' })
    await expect(runToEnd(jobIn('late', { checkpoints: [20, 21] }))).rejects.toThrow(/within 1..20/)
  })

  it('can be closed after a thread could not be started', async () => {
    const own = createEmbeddedTrainer()
    // What cannot be posted to a thread: `new Worker` throws.
    const unsendable = jobIn('unsendable', { tokenizerDir: Symbol('folder') as unknown as string })
    const consume = async (): Promise<void> => {
      for await (const event of own.train(unsendable, { signal: never })) expect.unreachable(event.type)
    }
    await expect(consume()).rejects.toThrow(/could not be cloned/)
    await own.close()
  })

  it('rejects what runs when it is closed', async () => {
    const closing = createEmbeddedTrainer()
    const consume = async (): Promise<void> => {
      for await (const event of closing.train(jobIn('closed'), { signal: never })) {
        if (event.type === 'start') void closing.close()
      }
    }
    await expect(consume()).rejects.toMatchObject({ code: 'INTERRUPTED' })
    await closing.close()
  })
})
