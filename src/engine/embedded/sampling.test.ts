/** Drawing one token, against a slow and obvious version of the same rule. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { argmax, drawToken } from './sampling.ts'

/** Sorted by falling probability, cut at topP, and inverted in the order of ids. */
function obviousDraw(probabilities: Float32Array, topP: number, uniform: number): number {
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b]! - probabilities[a]! || a - b)
  const kept: number[] = []
  let inside = 0
  for (const token of order) {
    if (inside >= topP) break
    kept.push(token)
    inside += probabilities[token]!
  }
  let running = 0
  const ids = kept.sort((a, b) => a - b).filter((token) => probabilities[token]! > 0)
  return ids.find((token) => (running += probabilities[token]!) > uniform * inside) ?? ids.at(-1) ?? 0
}

test('argmax takes the first of equals, and negative numbers', () => {
  expect(argmax(Float32Array.of(-3, -1, -1, -2))).toBe(1)
})

test('every uniform number falls into the interval of its token', () => {
  const probabilities = Float32Array.of(0.25, 0, 0.5, 0.25)
  const drawn = [0, 0.2499, 0.25, 0.7499, 0.75, 0.999999].map((u) => drawToken(probabilities, 1, u))
  expect(drawn).toEqual([0, 0, 2, 2, 3, 3])
})

test('a token of probability 0 is never drawn, even where rounding leaves the sum below the uniform number', () => {
  expect(drawToken(Float32Array.of(0, 0.4, 0.5, 0), 1, 0.99)).toBe(2)
})

test('top-p keeps the smallest set that reaches it, the first ids among equals, and at least one token', () => {
  const probabilities = Float32Array.of(0.125, 0.5, 0.125, 0.125, 0.125)
  const tokens = (topP: number): Set<number> =>
    new Set(Array.from({ length: 100 }, (_, i) => drawToken(probabilities, topP, i / 100)))
  expect(tokens(0.01)).toEqual(new Set([1]))
  expect(tokens(0.5)).toEqual(new Set([1]))
  expect(tokens(0.51)).toEqual(new Set([0, 1]))
  expect(tokens(0.75)).toEqual(new Set([0, 1, 2]))
  expect(tokens(0.99)).toEqual(new Set([0, 1, 2, 3, 4]))
})

test('agrees with the obvious version', () => {
  const counts = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 12 })
  const eighths = fc.integer({ min: 1, max: 16 }).map((n) => n / 16)
  // Sums of multiples of 1/1024 are exact, so that both versions see the same edges.
  const uniforms = fc.integer({ min: 0, max: 1023 }).map((n) => n / 1024)
  fc.assert(
    fc.property(counts, eighths, uniforms, (parts, topP, uniform) => {
      const rest = 1024 - parts.reduce((a, b) => a + b, 0)
      const probabilities = Float32Array.from([...parts, rest], (n) => n / 1024)
      expect(drawToken(probabilities, topP, uniform)).toBe(obviousDraw(probabilities, topP, uniform))
    }),
  )
})
