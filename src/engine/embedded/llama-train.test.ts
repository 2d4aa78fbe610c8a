/** Gradients against float64 finite differences of an independent forward pass, and packing that changes nothing. */
import * as ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { parameterCount, parameterSpecs, type LlamaConfig } from '../../model/config.ts'
import { rng } from '../../rng.ts'
import type { Pack } from '../packs.ts'
import { documentsOf, referenceLoss } from './llama-reference.ts'
import { buildTrainGraph, gradientName } from './llama-train.ts'
import { trainBatch } from './train-batch.ts'

const base: LlamaConfig = {
  vocabSize: 29,
  hiddenSize: 16,
  layers: 2,
  heads: 4,
  kvHeads: 4,
  headDim: 4,
  ffnSize: 24,
  ropeTheta: 10_000,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 64,
  bosId: null,
  eosIds: [4],
  padId: 0,
}

/** Weights large enough that attention and the feed-forward are far from linear; gains are not 1. */
function weightsOf(config: LlamaConfig): Float32Array {
  const random = rng(1, 'test weights')
  const flat = new Float32Array(parameterCount(config))
  for (const { shape, offset, size } of parameterSpecs(config)) {
    for (let i = 0; i < size; i++)
      flat[offset + i] = shape.length === 1 ? 1 + 0.2 * random.normal() : 0.3 * random.normal()
  }
  return flat
}

/** Packs made of documents with the given lengths; the last `scored` targets of each are scored; the rest is padding. */
function packsOf(lengths: readonly (readonly number[])[], T: number, scored: number): Pack[] {
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

/** Loss and flat gradient by the ONNX graph. */
async function lossAndGradient(
  config: LlamaConfig,
  weights: Float32Array,
  packs: readonly Pack[],
  blocks = 1,
): Promise<{ loss: number; gradient: Float32Array }> {
  const T = (packs[0] as Pack).tokens.length
  const B = packs.length
  const session = await ort.InferenceSession.create(buildTrainGraph(config, { T, B, blocks }).encode(), {
    intraOpNumThreads: 1,
  })
  const scored = packs.flatMap((pack) => [...pack.targets]).filter((target) => target >= 0).length
  const batch = trainBatch(packs, T, 1 / scored)
  const R = batch.rows_R.length
  const feeds: Record<string, ort.Tensor> = {
    ids: new ort.Tensor('int32', batch.ids_N, [T * B]),
    positions: new ort.Tensor('int64', batch.positions_TB, [T, B]),
    mask: new ort.Tensor('float32', batch.mask_BTT, [B, 1, 1, T, T]),
    rows: new ort.Tensor('int32', batch.rows_R, [R]),
    places: new ort.Tensor('int32', batch.places_N, [T * B]),
    targets: new ort.Tensor('int64', batch.targets_R, [R, 1]),
    weights: new ort.Tensor('float32', batch.weights_R, [R, 1]),
  }
  const specs = parameterSpecs(config)
  for (const { name, shape, offset, size } of specs) {
    feeds[name] = new ort.Tensor('float32', weights.slice(offset, offset + size), shape)
  }
  const result = await session.run(feeds)
  await session.release()
  const gradient = new Float32Array(weights.length)
  for (const { name, offset } of specs)
    gradient.set((result[gradientName(name)] as ort.Tensor).data as Float32Array, offset)
  const nll = (result.nll as ort.Tensor).data as Float32Array
  return { loss: nll.subarray(0, scored).reduce((sum, value) => sum + value / scored, 0), gradient }
}

/**
 * Largest relative error over the tensors: L2 over 8 elements of each, and the slope along one random direction through
 * all of its elements (relative to the gradient's norm), whichever is larger.
 */
function worstGradientError(
  config: LlamaConfig,
  weights: Float32Array,
  packs: Pack[],
  gradient: Float32Array,
): number {
  const documents = documentsOf(packs)
  const exact = Float64Array.from(weights)
  const h = 1e-5
  /** Central difference of the loss along a direction of the elements from `offset`. */
  const slope = (offset: number, direction: readonly number[]): number => {
    const lossAt = (distance: number): number => {
      const moved = exact.slice()
      for (const [i, u] of direction.entries()) moved[offset + i]! += distance * u
      return referenceLoss(config, moved, documents)
    }
    return (lossAt(h) - lossAt(-h)) / (2 * h)
  }
  let worst = 0
  for (const { name, offset, size } of parameterSpecs(config)) {
    const random = rng(3, name)
    const own = gradient.subarray(offset, offset + size)
    let error = 0
    let norm = 0
    for (const index of random.shuffle(Array.from({ length: size }, (_, i) => i)).slice(0, 8)) {
      const difference = slope(offset + index, [1])
      error += (difference - own[index]!) ** 2
      norm += difference ** 2
    }
    expect(norm, name).toBeGreaterThan(1e-10)
    const raw = Array.from({ length: size }, () => random.normal())
    const direction = raw.map((u) => u / Math.hypot(...raw))
    const along = direction.reduce((sum, u, i) => sum + u * own[i]!, 0)
    const directional = Math.abs(slope(offset, direction) - along) / Math.hypot(...own)
    worst = Math.max(worst, Math.sqrt(error / norm), directional)
  }
  return worst
}

describe('gradients agree with float64 finite differences to 1e-5', () => {
  const packed = packsOf([[4, 3, 2], [9], [5]], 9, 3)
  const cases: [string, LlamaConfig, number][] = [
    ['tied head, as many key heads as heads', base, 1],
    ['tied head, grouped keys', { ...base, kvHeads: 2 }, 1],
    ['untied head, grouped keys', { ...base, kvHeads: 2, tied: false }, 1],
    ['one key head, head width that is not width / heads', { ...base, kvHeads: 1, headDim: 6 }, 1],
    ['queries in blocks', { ...base, kvHeads: 2 }, 3],
  ]
  for (const [name, config, blocks] of cases) {
    it(name, async () => {
      const weights = weightsOf(config)
      const { loss, gradient } = await lossAndGradient(config, weights, packed, blocks)
      const expected = referenceLoss(config, Float64Array.from(weights), documentsOf(packed))
      expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-6)
      const worst = worstGradientError(config, weights, packed, gradient)
      expect(worst).toBeLessThan(1e-5)
    })
  }
})

describe('packing', () => {
  it('gives the loss and the gradient of the rows alone to 1e-6', async () => {
    const config = { ...base, kvHeads: 2 }
    const weights = weightsOf(config)
    const packs = packsOf([[5, 4, 3], [12], [7, 2]], 12, 3)
    const packed = await lossAndGradient(config, weights, packs)
    let lossSum = 0
    let scoredSum = 0
    const gradientSum = new Float64Array(weights.length)
    for (const { tokens, targets } of documentsOf(packs)) {
      const scored = targets.filter((target) => target >= 0).length
      const alone: Pack = {
        tokens: Int32Array.from(tokens),
        documents: new Int32Array(tokens.length),
        targets: Int32Array.from(targets),
      }
      const { loss, gradient } = await lossAndGradient(config, weights, [alone])
      lossSum += loss * scored
      scoredSum += scored
      for (const [i, g] of gradient.entries()) gradientSum[i]! += g * scored
    }
    expect(Math.abs(packed.loss / (lossSum / scoredSum) - 1)).toBeLessThan(1e-6)
    const error = Math.hypot(...packed.gradient.map((g, i) => g - gradientSum[i]! / scoredSum))
    expect(error / Math.hypot(...packed.gradient)).toBeLessThan(1e-6)
  })

  it('survives logits that would overflow an exponential', async () => {
    const weights = weightsOf(base).map((w) => w * 60)
    const packs = packsOf([[8]], 8, 8)
    const { loss, gradient } = await lossAndGradient(base, weights, packs)
    const expected = referenceLoss(base, Float64Array.from(weights), documentsOf(packs))
    expect(expected).toBeGreaterThan(1000)
    expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-3)
    expect(gradient.every(Number.isFinite)).toBe(true)
  })
})
