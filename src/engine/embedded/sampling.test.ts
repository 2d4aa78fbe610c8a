/** Drawing one token, against a slow and obvious version of the same rule; log-probabilities against float64. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rng } from '../../rng.ts'
import { loadKernels } from './kernels.ts'

const k = loadKernels()

interface Draw {
  readonly temperature: number
  readonly topP: number
  readonly uniform: number
}

/** A token a draw, each from its own row. */
function drawRows(rows: readonly Float32Array[], draws: readonly Draw[]): number[] {
  const tokens = new Int32Array(draws.length)
  const uniforms = Float64Array.from(draws, ({ uniform }) => uniform)
  const width = rows[0]?.length ?? 0
  k.sampleTokens(
    tokens,
    Float32Array.from(rows.flatMap((row) => [...row])),
    Float32Array.from(draws, ({ temperature }) => (temperature === 0 ? 0 : 1 / temperature)),
    Float32Array.from(draws, ({ topP }) => topP),
    new Int32Array(uniforms.buffer),
    draws.length,
    width,
  )
  return [...tokens]
}
const draw = (logits: Float32Array, topP: number, uniform: number): number =>
  drawRows([logits], [{ temperature: 1, topP, uniform }])[0] ?? -1

/** Logits whose softmax is these weights over their sum, to rounding; 0 becomes a logit far below all others. */
const logitsOf = (weights: readonly number[]): Float32Array =>
  Float32Array.from(weights, (weight) => (weight === 0 ? -200 : Math.log(weight)))

/** The likeliest tokens that together reach topP, the first ids among equals, in falling order. */
function nucleus(weights: readonly number[], topP: number): number[] {
  const total = weights.reduce((a, b) => a + b, 0)
  const order = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]! || a - b)
  const kept: number[] = []
  let inside = 0
  for (const token of order) {
    if (inside >= topP * total) break
    kept.push(token)
    inside += weights[token]!
  }
  return kept
}

test('greedy takes the first of equals, and negative numbers', () => {
  const greedy = { temperature: 0, topP: 1, uniform: 0.9 }
  const long = new Float32Array(50).fill(-5)
  long[37] = long[49] = -4
  expect(drawRows([Float32Array.of(-3, -1, -1, -2)], [greedy])).toEqual([1])
  expect(drawRows([long], [greedy])).toEqual([37])
})

test('every uniform number falls into the interval of its token', () => {
  const logits = logitsOf([0.25, 0, 0.5, 0.25])
  const drawn = [0, 0.2499, 0.2501, 0.7499, 0.7501, 0.999999].map((u) => draw(logits, 1, u))
  expect(drawn).toEqual([0, 0, 2, 2, 3, 3])
})

test('a token of probability 0 is never drawn, even at the largest uniform number', () => {
  const weights = Array.from({ length: 100 }, (_, i) => (i % 3 === 1 && i < 60 ? 1 + (i % 7) / 10 : 0))
  const logits = logitsOf(weights)
  for (const topP of [1, 0.9999]) {
    for (let i = 0; i < 500; i++) expect(weights[draw(logits, topP, i / 500)]).toBeGreaterThan(0)
    expect(weights[draw(logits, topP, 1 - 2 ** -53)]).toBeGreaterThan(0)
  }
})

test('top-p keeps the smallest set that reaches it, the first ids among equals, and at least one token', () => {
  const logits = logitsOf([0.125, 0.5, 0.125, 0.125, 0.125])
  const tokens = (topP: number): Set<number> =>
    new Set(Array.from({ length: 100 }, (_, i) => draw(logits, topP, i / 100)))
  expect(tokens(0.01)).toEqual(new Set([1]))
  expect(tokens(0.49)).toEqual(new Set([1]))
  expect(tokens(0.51)).toEqual(new Set([1, 0]))
  expect(tokens(0.74)).toEqual(new Set([1, 0, 2]))
  expect(tokens(0.99)).toEqual(new Set([0, 1, 2, 3, 4]))
})

test('draws each token of the nucleus in proportion, and no other', () => {
  const parts = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 70 })
  // A set that reaches topP within rounding may have a token more or less, so topP lies between sums of whole weights.
  const share = fc.double({ min: 0.02, max: 0.98, noNaN: true })
  fc.assert(
    fc.property(parts, share, (some, at) => {
      const weights = [...some, 1]
      const total = weights.reduce((a, b) => a + b, 0)
      const topP = (Math.floor(at * total) + 0.5) / total
      const kept = nucleus(weights, topP)
      const inside = kept.reduce((sum, token) => sum + weights[token]!, 0)
      const counts = new Map<number, number>()
      for (let i = 0; i < inside; i++) {
        // One number from each unit of weight of the nucleus.
        const token = draw(logitsOf(weights), topP, (i + 0.5) / inside)
        counts.set(token, (counts.get(token) ?? 0) + 1)
      }
      expect(counts).toEqual(new Map(kept.filter((t) => weights[t]! > 0).map((t) => [t, weights[t]])))
    }),
    { numRuns: 60 },
  )
})

test('rows do not see each other, with any number of threads', () => {
  const stream = rng('sampling rows')
  const rows = Array.from({ length: 33 }, () => Float32Array.from({ length: 75 }, () => 3 * stream.normal()))
  const draws = rows.map((_, i) => ({
    temperature: [0, 0.5, 1, 2][i % 4] ?? 0,
    topP: [1, 0.9, 0.5][i % 3] ?? 1,
    uniform: stream.next(),
  }))
  const alone = rows.map((row, i) => drawRows([row], [draws[i]!])[0])
  for (const threads of [1, 2]) {
    k.setThreads(threads)
    expect(drawRows(rows, draws)).toEqual(alone)
  }
  k.setThreads(1)
})

test('log-probabilities are those of float64, for several tokens a row, and do not overflow', () => {
  const stream = rng('logprobs')
  const width = 83
  const scales = [1, 10, 1000]
  const logits = Float32Array.from(
    { length: 3 * width },
    (_, i) => scales[Math.floor(i / width)]! * stream.normal(),
  )
  const tokens = Int32Array.from({ length: 2 * width }, (_, i) => i % width)
  // All tokens after rows 0 and 2, none after row 1.
  const found = new Float32Array(2 * width)
  k.logprobs(found, logits, Int32Array.of(0, width, width, 2 * width), tokens, 3, width)
  for (const [part, row] of [logits.subarray(0, width), logits.subarray(2 * width)].entries()) {
    const max = Math.max(...row)
    const logSum = max + Math.log(row.reduce((sum, x) => sum + Math.exp(x - max), 0))
    for (const [token, x] of row.entries()) {
      const value = found[part * width + token]!
      expect(Math.abs(value - (x - logSum))).toBeLessThan(1e-6 * Math.max(1, Math.abs(x - logSum)))
    }
  }
  expect(() => k.logprobs(found, logits, Int32Array.of(0, 1), Int32Array.of(width), 1, width)).toThrow(
    'vocabulary',
  )
})

test.each([
  ['all', [NaN, NaN, NaN]],
  ['the first', [NaN, 1, 2]],
  ['one', [1, NaN, 2]],
  ['infinite', [1, Infinity, 2]],
  ['one in the last lanes', [...Array<number>(20).fill(0), NaN]],
])('logits that are not numbers give no token: %s', (_, row) => {
  const logits = Float32Array.from(row)
  for (const [temperature, topP] of [
    [0, 1],
    [1, 1],
    [1, 0.5],
  ] as const) {
    // Its neighbour is well.
    const rows = [new Float32Array(row.length), logits]
    const draws = rows.map(() => ({ temperature, topP, uniform: 0.5 }))
    expect(() => drawRows(rows, draws)).toThrow("the model's logits are not numbers")
  }
  const score = (): void =>
    k.logprobs(new Float32Array(1), logits, Int32Array.of(0, 1), Int32Array.of(0), 1, row.length)
  expect(score).toThrow("the model's logits are not numbers")
})

test('no vocabulary is refused', () => {
  expect(() =>
    k.logprobs(new Float32Array(1), new Float32Array(1), Int32Array.of(0, 0), Int32Array.of(0), 1, 0),
  ).toThrow('no token to score')
})
