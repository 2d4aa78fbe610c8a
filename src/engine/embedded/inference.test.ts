/** The model as the sampler runs it: against float64, and the same bits however its rows come together. */
import { describe, expect, it, test } from 'vitest'
import type { ModelConfig } from '../../model/config.ts'
import { rng } from '../../rng.ts'
import { eachLogits, openInference, type Run, runStep, sharePrefix } from './inference.ts'
import { loadKernels } from './kernels.ts'
import { referenceLogits } from './llama-reference.ts'
import { buildNetwork } from './network.ts'
import { packNetwork } from './packed-network.ts'
import { randomPrompts, randomWeights, tinyConfig } from './random-model.fixture.ts'
import type { SampledModel } from './sampled-model.ts'

const k = loadKernels()

function open(config: ModelConfig): SampledModel {
  const weights = k.allocate(randomWeights(config).length)
  weights.set(randomWeights(config))
  const network = packNetwork(k, buildNetwork(config, { weights, gradients: null }))
  return { k, network, stopIds: new Set(), inference: null }
}

/** The logits of every token of every sequence; sequence i is in slot i and fed in pieces of pieces[i] tokens. */
function allLogits(
  model: SampledModel,
  sequences: readonly (readonly number[])[],
  pieces: readonly number[] = sequences.map(({ length }) => length),
): Float32Array[][] {
  const positions = Math.max(...sequences.map(({ length }) => length))
  const inference = openInference(model, { sequences: sequences.length, positions })
  const found = sequences.map((): Float32Array[] => [])
  for (;;) {
    const runs: Run[] = []
    const rows: Float32Array[][] = []
    let room = inference.maxRows
    for (const [slot, sequence] of sequences.entries()) {
      const past = found[slot]!.length
      const tokens = sequence.slice(past, past + Math.min(room, pieces[slot]!))
      if (tokens.length === 0) continue
      room -= tokens.length
      runs.push({ slot, past, tokens, wanted: [...tokens.keys()] })
      rows.push(...tokens.map(() => found[slot]!))
    }
    if (runs.length === 0) return found
    const V = model.network.config.vocabSize
    eachLogits(inference, runStep(inference, runs), (logits, from, to) => {
      for (let r = from; r < to; r++) rows[r]!.push(logits.slice((r - from) * V, (r - from + 1) * V))
    })
  }
}

/** Largest absolute difference to the reference over all tokens. */
function worst(found: readonly Float32Array[], reference: readonly Float64Array[]): number {
  expect(found.length).toBe(reference.length)
  return Math.max(...reference.map((row, t) => Math.max(...row.map((x, i) => Math.abs(x - found[t]![i]!)))))
}

describe('logits are those of the reference', () => {
  it.each<[string, ModelConfig]>([
    ['grouped queries, tied head', tinyConfig],
    ['every head its own keys, untied head', { ...tinyConfig, kvHeads: 4, headDim: 4, tied: false }],
    ['one key head', { ...tinyConfig, kvHeads: 1, layers: 1 }],
    ['biases', { ...tinyConfig, family: 'qwen2', qkvBias: true }],
    ['normalised heads', { ...tinyConfig, family: 'qwen3', qkNorm: true, headDim: 16 }],
    [
      'matrices that are packed in place',
      { ...tinyConfig, hiddenSize: 32, headDim: 16, ffnSize: 32, tied: false },
    ],
    [
      'scaled rotation',
      {
        ...tinyConfig,
        ropeScaling: {
          type: 'llama3',
          factor: 8,
          lowFreqFactor: 1,
          highFreqFactor: 4,
          originalMaxPositions: 16,
        },
      },
    ],
  ])('%s', (_, config) => {
    const sequences = randomPrompts(config, 5, [1, 33])
    const exact = Float64Array.from(randomWeights(config))
    const found = allLogits(open(config), sequences, [1, 40, 3, 2, 40])
    for (const [i, sequence] of sequences.entries())
      expect(worst(found[i]!, referenceLogits(config, exact, sequence))).toBeLessThan(1e-4)
  })
})

/** Wide enough that tiles, panels and threads are filled in many ways. */
const wide: ModelConfig = { ...tinyConfig, hiddenSize: 96, headDim: 24, ffnSize: 272, vocabSize: 300 }

test('a sequence has the same bits alone and in any company, whole and in pieces, with any number of threads', () => {
  const model = open(wide)
  const sequences = randomPrompts(wide, 24, [1, 37])
  k.setThreads(1)
  const alone = sequences.map((sequence) => allLogits(model, [sequence])[0])
  const stream = rng('pieces')
  for (const threads of [1, 2, 3]) {
    k.setThreads(threads)
    expect(allLogits(model, sequences)).toEqual(alone)
    for (let round = 0; round < 3; round++) {
      const order = stream.shuffle([...sequences.keys()]).slice(0, stream.between(2, 24))
      const some = order.map((i) => sequences[i]!)
      const pieces = some.map(() => stream.between(1, 20))
      expect(allLogits(model, some, pieces)).toEqual(order.map((i) => alone[i]))
    }
  }
  k.setThreads(1)
})

test('a shared prefix changes no bit, and is as long as what all begin with', () => {
  const model = open(wide)
  const prefix = Array.from({ length: 20 }, (_, t) => (7 * t) % wide.vocabSize)
  const sequences = randomPrompts(wide, 6, [2, 15]).map((rest, i) => [...prefix, i, ...rest])
  const separate = allLogits(model, sequences).map((rows) => rows.at(-1))
  const inference = openInference(model, { sequences: 6, positions: 40 })
  expect(sharePrefix(inference, sequences)).toBe(20)
  const runs = sequences.map((sequence, slot) => {
    const tokens = sequence.slice(20)
    return { slot, past: 20, tokens, wanted: [tokens.length - 1] }
  })
  const V = wide.vocabSize
  eachLogits(inference, runStep(inference, runs), (logits, from, to) => {
    for (let r = from; r < to; r++)
      expect(logits.slice((r - from) * V, (r - from + 1) * V)).toEqual(separate[r])
  })
  // The last token of a sequence is always computed for itself, and a short prefix is not worth it.
  expect(sharePrefix(inference, [prefix, prefix])).toBe(19)
  expect(sharePrefix(inference, [prefix, prefix.slice(0, 16)])).toBe(0)
  expect(sharePrefix(inference, [prefix])).toBe(0)
})
