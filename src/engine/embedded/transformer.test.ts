/** Gradients against float64 finite differences of an independent forward pass, and packing that changes nothing. */
import { describe, expect, it } from 'vitest'
import { parameterSpecs, type ModelConfig } from '../../model/config.ts'
import { rng } from '../../rng.ts'
import type { Pack } from '../packs.ts'
import { documentsOf, referenceLoss } from './llama-reference.ts'
import { loadKernels } from './kernels.ts'
import { buildNetwork } from './network.ts'
import { base, packsOf, weightsOf } from './small-model.fixture.ts'
import { tokenRows, type TokenRows } from './token-rows.ts'
import { lossAndGradients, openPass } from './transformer.ts'

const kernels = loadKernels()

interface Options {
  readonly threads?: number
  readonly each?: number
  readonly recompute?: boolean
}

/** Loss and flat gradient of the mean nll; the packs go through in runs of `each` packs. */
function lossAndGradient(
  config: ModelConfig,
  weights: Float32Array,
  packs: readonly Pack[],
  { threads = 1, each = packs.length, recompute = false }: Options = {},
): { loss: number; gradient: Float32Array } {
  kernels.setThreads(threads)
  const gradient = new Float32Array(weights.length).fill(7)
  const network = buildNetwork(config, { weights, gradients: gradient })
  const all = tokenRows(packs)
  const contextLength = (packs[0] as Pack).tokens.length
  const pass = openPass(kernels, network, { rows: all.ids.length, contextLength, recompute })
  const weight = 1 / all.scored.length
  const batches: TokenRows[] = []
  for (let from = 0; from < packs.length; from += each)
    batches.push(tokenRows(packs.slice(from, from + each)))
  const sum = lossAndGradients(pass, batches, weight)
  return { loss: sum * weight, gradient }
}

/**
 * Largest relative error over the tensors: L2 over 8 elements of each, and the slope along one random direction through
 * all of its elements (relative to the gradient's norm), whichever is larger.
 */
function worstGradientError(
  config: ModelConfig,
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

const grouped = { ...base, kvHeads: 2 }
const wide: ModelConfig = { ...grouped, hiddenSize: 40, headDim: 18, ffnSize: 50, vocabSize: 70 }

describe('gradients agree with float64 finite differences to 1e-5', () => {
  const packed = packsOf([[4, 3, 2], [9], [5]], 9, 3)
  const cases: [string, ModelConfig][] = [
    ['tied head, as many key heads as heads', base],
    ['tied head, grouped keys', grouped],
    ['untied head, grouped keys', { ...grouped, tied: false }],
    ['one key head, head width that is not width / heads', { ...base, kvHeads: 1, headDim: 6 }],
    ['sizes that are no multiple of a tile', wide],
    ['biases of queries, keys and values', { ...grouped, family: 'qwen2', qkvBias: true }],
    ['norms of queries and keys', { ...grouped, family: 'qwen3', qkNorm: true }],
  ]
  for (const [name, config] of cases) {
    it(name, () => {
      const weights = weightsOf(config)
      const { loss, gradient } = lossAndGradient(config, weights, packed)
      const expected = referenceLoss(config, Float64Array.from(weights), documentsOf(packed))
      expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-6)
      const worst = worstGradientError(config, weights, packed, gradient)
      expect(worst).toBeLessThan(1e-5)
    })
  }

  it('documents longer than a block of queries', () => {
    const long = packsOf([[110, 20], [60]], 130, 110)
    const config = { ...grouped, layers: 1 }
    const weights = weightsOf(config)
    const { loss, gradient } = lossAndGradient(config, weights, long)
    const expected = referenceLoss(config, Float64Array.from(weights), documentsOf(long))
    expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-6)
    expect(worstGradientError(config, weights, long, gradient)).toBeLessThan(1e-5)
  })
})

describe('the same bits', () => {
  const packs = packsOf([[150, 20], [111], [3, 4, 5], [100]], 180, 40)
  for (const config of [wide, { ...grouped, qkNorm: true, qkvBias: true, tied: false }]) {
    const weights = weightsOf(config)
    const alone = lossAndGradient(config, weights, packs)
    it('with any number of threads', () => {
      for (const threads of [2, 3, 7])
        expect(lossAndGradient(config, weights, packs, { threads })).toEqual(alone)
    })
    it('whether layers keep what they compute or compute it again', () => {
      for (const each of [2, 4])
        expect(lossAndGradient(config, weights, packs, { each, recompute: true })).toEqual(alone)
    })
    it('with any number of packs at a time', () => {
      for (const each of [1, 2, 3]) expect(lossAndGradient(config, weights, packs, { each })).toEqual(alone)
    })
  }
})

describe('packing', () => {
  it('gives the loss and the gradient of the rows alone to 1e-6', () => {
    const config = grouped
    const weights = weightsOf(config)
    const packs = packsOf([[5, 4, 3], [12], [7, 2]], 12, 3)
    const packed = lossAndGradient(config, weights, packs)
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
      const { loss, gradient } = lossAndGradient(config, weights, [alone])
      lossSum += loss * scored
      scoredSum += scored
      for (const [i, g] of gradient.entries()) gradientSum[i]! += g * scored
    }
    expect(Math.abs(packed.loss / (lossSum / scoredSum) - 1)).toBeLessThan(1e-6)
    const error = Math.hypot(...packed.gradient.map((g, i) => g - gradientSum[i]! / scoredSum))
    expect(error / Math.hypot(...packed.gradient)).toBeLessThan(1e-6)
  })

  it('survives logits that would overflow an exponential', () => {
    const weights = weightsOf(base).map((w) => w * 60)
    const packs = packsOf([[8]], 8, 8)
    const { loss, gradient } = lossAndGradient(base, weights, packs)
    const expected = referenceLoss(base, Float64Array.from(weights), documentsOf(packs))
    expect(expected).toBeGreaterThan(1000)
    expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-3)
    expect(gradient.every(Number.isFinite)).toBe(true)
  })
})
