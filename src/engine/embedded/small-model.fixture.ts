/** A model small enough for finite differences, far from linear, and packs of random documents for it. */
import { parameterCount, parameterSpecs, type ModelConfig } from '../../model/config.ts'
import { rng } from '../../rng.ts'
import type { Pack } from '../packs.ts'

export const base: ModelConfig = {
  family: 'llama',
  vocabSize: 29,
  hiddenSize: 16,
  layers: 2,
  heads: 4,
  kvHeads: 4,
  headDim: 4,
  ffnSize: 24,
  ropeTheta: 10_000,
  ropeScaling: null,
  qkvBias: false,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 64,
  bosId: null,
  eosIds: [4],
  padId: 0,
}

/** Weights large enough that attention and the feed-forward are far from linear; gains are not 1. */
export function weightsOf(config: ModelConfig): Float32Array {
  const random = rng(1, 'test weights')
  const flat = new Float32Array(parameterCount(config))
  for (const { shape, offset, size } of parameterSpecs(config)) {
    for (let i = 0; i < size; i++)
      flat[offset + i] =
        shape.length === 1
          ? 1 + 0.2 * random.normal()
          : (1.2 / Math.sqrt(config.hiddenSize)) * random.normal()
  }
  return flat
}

/** Packs made of documents with the given lengths; the last `scored` targets of each are scored; the rest is padding. */
export function packsOf(lengths: readonly (readonly number[])[], T: number, scored: number): Pack[] {
  const random = rng(2, 'test packs')
  return lengths.map((pack) => {
    const tokens = new Int32Array(T)
    const documents = new Int32Array(T).fill(-1)
    const targets = new Int32Array(T).fill(-1)
    let t = 0
    for (const [d, length] of pack.entries()) {
      const ids = Array.from({ length: length + 1 }, () => random.int(base.vocabSize))
      for (let i = 0; i < length; i++, t++) {
        tokens[t] = ids[i] as number
        documents[t] = d
        if (i >= length - scored) targets[t] = ids[i + 1] as number
      }
    }
    return { tokens, documents, targets }
  })
}
