/** What is trained beside a reference: a small Llama for a hundred steps of AdamW, on packs that have something to learn. */
import { join } from 'node:path'
import type { Recipe, TrainJob } from '../src/engine/engine.ts'
import type { Pack } from '../src/engine/packs.ts'
import type { ModelConfig } from '../src/model/config.ts'
import { rng } from '../src/rng.ts'

export const T = 64
export const STEPS = 100
export const BATCH = 4

export const config: ModelConfig = {
  family: 'llama',
  vocabSize: 257,
  hiddenSize: 64,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  ffnSize: 160,
  ropeTheta: 10_000,
  ropeScaling: null,
  qkvBias: false,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: T,
  bosId: null,
  eosIds: [256],
  padId: 0,
}

export const adamw: Recipe = {
  method: 'full',
  optimizer: 'adamw',
  lr: 3e-3,
  schedule: 'cosine',
  warmup: 0.1,
  batch: BATCH,
  steps: STEPS,
  weight_decay: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
}

/** Tokens and targets; -1 where nothing is scored. */
export type Document = readonly [tokens: number[], targets: number[]]

/** The documents of each pack: walks over the vocabulary with a stride of their own. The first half of each is not scored. */
export const documents: readonly (readonly Document[])[] = Array.from({ length: STEPS * BATCH }, (_, p) => {
  const random = rng(p, 'hundred steps')
  return [40, 24].map((length): Document => {
    const [start, stride] = [random.int(256), 1 + random.int(3)]
    const ids = Array.from({ length: length + 1 }, (_, t) => (start + t * stride) % 256)
    return [ids.slice(0, length), ids.slice(1).map((id, t) => (t < length / 2 ? -1 : id))]
  })
})

export const packs = documents.map((own): Pack => ({
  tokens: Int32Array.from(own.flatMap(([tokens]) => tokens)),
  documents: Int32Array.from(own.flatMap(([tokens], d) => tokens.map(() => d))),
  targets: Int32Array.from(own.flatMap(([, targets]) => targets)),
}))

/** Its first four steps, at the full rate; the folder holds packs and tokenizer. */
export const fourSteps = (folder: string, workDir: string): TrainJob => ({
  start: { from: 'random', config, seed: 7 },
  packs: join(folder, 'packs.bin'),
  recipe: { ...adamw, warmup: 0, steps: 4 },
  checkpoints: [4],
  workDir: join(folder, workDir),
  tokenizerDir: folder,
})
