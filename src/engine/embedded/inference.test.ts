/** The inference graphs against the model written plainly in float64. */
import { expect, test } from 'vitest'
import type { LlamaConfig } from '../../model/config.ts'
import { Inference, weightTensors } from './inference.ts'
import { MASKED } from './llama-infer.ts'
import { referenceLogits } from './llama-reference.ts'
import { randomPrompts, randomWeights, tinyConfig } from './random-model.fixture.ts'

const guard = <T>(call: () => Promise<T>): Promise<T> => call()
const open = (config: LlamaConfig, threads = 1): Inference => new Inference(config, { threads, guard })

/** Largest absolute difference between a row of a batch and the reference. */
function worst(row: Float32Array, reference: Float64Array): number {
  expect(row.length).toBe(reference.length)
  return Math.max(...reference.map((x, i) => Math.abs(x - row[i]!)))
}

const shapes: [string, LlamaConfig][] = [
  ['grouped queries, tied head', tinyConfig],
  ['every head its own keys, untied head', { ...tinyConfig, kvHeads: 4, headDim: 4, tied: false }],
  ['one key head', { ...tinyConfig, kvHeads: 1, layers: 1 }],
]

test.each(shapes)('prefill and decode give the reference logits: %s', async (_, config) => {
  const inference = open(config)
  const weights = randomWeights(config)
  const tensors = weightTensors(config, weights)
  const exact = Float64Array.from(weights)
  const prompts = randomPrompts(config, 5, [1, 9])
  const slots = Math.max(...prompts.map(({ length }) => length))
  const V = config.vocabSize

  inference.cache.reset(prompts.length, slots + 3)
  let logits = await inference.prefill(tensors, prompts)
  const sequences = prompts.map((prompt) => [...prompt])
  for (let step = 0; ; step++) {
    for (const [b, sequence] of sequences.entries()) {
      const reference = referenceLogits(config, exact, sequence).at(-1) ?? new Float64Array()
      expect(worst(logits.subarray(b * V, (b + 1) * V), reference)).toBeLessThan(1e-4)
    }
    if (step === 3) break
    for (const [b, sequence] of sequences.entries()) sequence.push((7 * b + step) % V)
    const filled = inference.cache.length
    const mask_BP = Float32Array.from({ length: prompts.length * (filled + 1) }, (__, i) => {
      const slot = i % (filled + 1)
      return slot >= prompts[Math.floor(i / (filled + 1))]!.length && slot < slots ? MASKED : 0
    })
    logits = await inference.decode(tensors, {
      ids: Int32Array.from(sequences, (sequence) => sequence.at(-1) ?? 0),
      positions: BigInt64Array.from(sequences, (sequence) => BigInt(sequence.length - 1)),
      mask_BP,
    })
  }
  await inference.release()
})

test('scores are the log-softmax of the reference logits, and probabilities their softmax', async () => {
  const inference = open(tinyConfig)
  const weights = randomWeights(tinyConfig)
  const sequences = randomPrompts(tinyConfig, 3, [2, 7])
  const picks = sequences.flatMap((sequence, row) =>
    [0, sequence.length - 1].map((position) => ({ row, position, token: 3 + row })),
  )
  const scores = await inference.score(weightTensors(tinyConfig, weights), sequences, picks)
  for (const [i, { row, position, token }] of picks.entries()) {
    const logits = referenceLogits(tinyConfig, Float64Array.from(weights), sequences[row]!)[position]!
    const total = logits.reduce((sum, x) => sum + Math.exp(x), 0)
    expect(Math.abs(scores[i]! - (logits[token]! - Math.log(total)))).toBeLessThan(1e-5)
    const probabilities = await inference.probabilities(Float32Array.from(logits), [0.5])
    const sharper = logits.reduce((sum, x) => sum + Math.exp(2 * x), 0)
    expect(Math.abs(probabilities[token]! - Math.exp(2 * logits[token]!) / sharper)).toBeLessThan(1e-6)
  }
  await inference.release()
})

test('huge logits do not overflow the scores', async () => {
  const config = { ...tinyConfig, tied: false }
  const weights = randomWeights(config).map((x) => 200 * x)
  const inference = open(config)
  const picks = Array.from({ length: config.vocabSize }, (_, token) => ({ row: 0, position: 2, token }))
  const scores = await inference.score(weightTensors(config, weights), [[1, 2, 3]], picks)
  expect(scores.every((x) => Number.isFinite(x) && x <= 0)).toBe(true)
  expect(Math.min(...scores)).toBeLessThan(-1000)
  await inference.release()
})

test('one and two threads give the same bits', async () => {
  // Large enough that ONNX Runtime splits the work.
  const config = { ...tinyConfig, hiddenSize: 64, headDim: 16, ffnSize: 192, vocabSize: 256 }
  const prompts = randomPrompts(config, 24, [10, 30])
  const [one, two] = await Promise.all(
    [1, 2].map(async (threads) => {
      const inference = open(config, threads)
      inference.cache.reset(prompts.length, 30)
      const logits = await inference.prefill(weightTensors(config, randomWeights(config)), prompts)
      await inference.release()
      return logits
    }),
  )
  expect(one).toEqual(two)
})
