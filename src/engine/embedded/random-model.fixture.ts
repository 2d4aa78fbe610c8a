/** A tiny Llama of random weights, big enough that its greedy choices are clear, for the tests of the sampler. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ModelConfig, parameterCount, parameterSpecs } from '../../model/config.ts'
import { writeModelFolder } from '../../model/folder.ts'
import { rng } from '../../rng.ts'

/** Grouped queries and a head dimension that is not hiddenSize / heads. */
export const tinyConfig: ModelConfig = {
  family: 'llama',
  vocabSize: 24,
  hiddenSize: 16,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 6,
  ffnSize: 20,
  ropeTheta: 1000,
  ropeScaling: null,
  qkvBias: false,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 40,
  bosId: null,
  eosIds: [],
  padId: 0,
}

/** Flat weights; the embedding is large enough to give logits of a few units. */
export function randomWeights(config: ModelConfig): Float32Array {
  const stream = rng('random-model', parameterCount(config))
  const weights = new Float32Array(parameterCount(config))
  for (const { offset, size, shape } of parameterSpecs(config)) {
    const scale = 1 / Math.sqrt(shape[1] ?? 100)
    const mean = shape.length === 1 ? 1 : 0
    for (let i = 0; i < size; i++) weights[offset + i] = mean + 1.5 * scale * stream.normal()
  }
  return weights
}

/** Writes the model as a folder and returns its path. */
export async function writeRandomModel(dir: string, name: string, config: ModelConfig): Promise<string> {
  const tokenizerDir = join(dir, 'tokenizer')
  await mkdir(tokenizerDir, { recursive: true })
  await writeFile(join(tokenizerDir, 'tokenizer.json'), '{}')
  await writeFile(join(tokenizerDir, 'tokenizer_config.json'), '{}')
  const folder = join(dir, name)
  await writeModelFolder(folder, { config, weights: randomWeights(config), tokenizerDir })
  return folder
}

/** Prompts of every length from `shortest` to `longest`, over and over. */
export function randomPrompts(
  config: ModelConfig,
  count: number,
  [shortest, longest]: [number, number],
): number[][] {
  const stream = rng('random-prompts', count)
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: shortest + ((i * 7) % (longest - shortest + 1)) }, () =>
      stream.int(config.vocabSize),
    ),
  )
}
