/** The models that are benchmarked, as random weights in a folder, and how much a training step of one computes. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writePacks, type Pack } from '../src/engine/packs.ts'
import { initialWeights } from '../src/engine/init-weights.ts'
import type { ModelConfig } from '../src/model/config.ts'
import { writeModelFolder } from '../src/model/folder.ts'
import { rng } from '../src/rng.ts'

const llama = (hiddenSize: number, heads: number, layers: number, ffnSize: number): ModelConfig => ({
  family: 'llama',
  vocabSize: 1024,
  hiddenSize,
  layers,
  heads,
  kvHeads: heads,
  headDim: hiddenSize / heads,
  ffnSize,
  ropeTheta: 10_000,
  ropeScaling: null,
  qkvBias: false,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 1024,
  bosId: null,
  eosIds: [],
  padId: null,
})

export const models = {
  '1M': llama(128, 4, 4, 384),
  '3M': llama(192, 3, 6, 512),
  '5M': llama(256, 4, 6, 704),
  '10M': llama(320, 5, 8, 864),
  /** The shape of SmolLM2-135M. */
  '135M': {
    ...llama(576, 9, 30, 1536),
    vocabSize: 49_152,
    kvHeads: 3,
    ropeTheta: 100_000,
    maxPositions: 8192,
  },
} satisfies Readonly<Record<string, ModelConfig>>

/** The model of a size that was asked for. */
export function modelOf(size: string): ModelConfig {
  const config = Object.entries(models).find(([name]) => name === size)?.[1]
  if (config === undefined) throw new Error(`no size ${size}; there are ${Object.keys(models).join(', ')}`)
  return config
}

/**
 * Floating-point operations of a full training step, a token: 6 a weight of a matrix product (2 forward, 4 backward; the
 * head counts, the lookup of embeddings does not), and causal attention: scores and their products with the values are
 * 2 · 2 · width · (T + 1) / 2 forward and twice that backward. Norms, activations and the optimizer are not counted.
 */
export function flopsPerToken(config: ModelConfig, contextLength: number): number {
  const { hiddenSize: d, layers, heads, kvHeads, headDim, ffnSize, vocabSize } = config
  const attention = heads * headDim
  const layer = 2 * d * attention + 2 * d * kvHeads * headDim + 3 * d * ffnSize
  return 6 * (layers * layer + d * vocabSize) + 6 * layers * attention * (contextLength + 1)
}

/** Prompts of `length` random tokens each, the same every time. */
export function randomPrompts({ vocabSize }: ModelConfig, count: number, length: number): number[][] {
  const random = rng(1, 'bench', 'prompts')
  return Array.from({ length: count }, () => Array.from({ length }, () => random.int(vocabSize)))
}

/** Files where a tokenizer is copied from; benchmarks of token ids have none to speak of. */
export async function writeEmptyTokenizer(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true })
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) await writeFile(join(dir, name), '{}')
}

/** A model folder of fresh weights, the same on every machine. */
export async function writeRandomModel(
  folder: string,
  config: ModelConfig,
  tokenizerDir: string,
): Promise<void> {
  await writeModelFolder(folder, { config, weights: initialWeights(config, 1), tokenizerDir })
}

/** One document of random tokens a pack, the last `scored` share of its places with a target. */
export async function writeRandomPacks(
  file: string,
  {
    count,
    contextLength: T,
    vocabSize,
    scored = 1,
  }: {
    readonly count: number
    readonly contextLength: number
    readonly vocabSize: number
    readonly scored?: number
  },
): Promise<void> {
  const random = rng(1, 'bench')
  function* packs(): Iterable<Pack> {
    for (let p = 0; p < count; p++) {
      const ids = Int32Array.from({ length: T + 1 }, () => random.int(vocabSize))
      const targets = ids.slice(1).fill(-1, 0, Math.round(T * (1 - scored)))
      yield { tokens: ids.slice(0, T), documents: new Int32Array(T), targets }
    }
  }
  await writePacks(file, packs(), { contextLength: T })
}

/**
 * Floating-point operations of generation, a new token, prompts included: 2 a weight of a matrix product and 4 · width a
 * position attended to. Only what a key-value cache cannot avoid: the last new token is never fed, of a prompt's last layer
 * only keys and values are needed before its last token, and the head only reads that one.
 */
export function generationFlops(config: ModelConfig, promptTokens: number, newTokens: number): number {
  const { hiddenSize: d, layers, heads, kvHeads, headDim, ffnSize, vocabSize } = config
  const width = heads * headDim
  const [queries, keys, rest] = [d * width, 2 * d * kvHeads * headDim, width * d + 3 * d * ffnSize]
  const fed = promptTokens + newTokens - 1
  const skipped = promptTokens - 1
  const products =
    2 * (fed * layers * (queries + keys + rest) - skipped * (queries + rest) + newTokens * d * vocabSize)
  const attention = 4 * width * (layers * attended(fed) - attended(skipped))
  return (products + attention) / newTokens
}

/** Positions that so many tokens attend to, one after another. */
const attended = (tokens: number): number => (tokens * (tokens + 1)) / 2
