/** Rates: the interval of what was scored, and the two ends that the errors leave open. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rateOf } from './rates.ts'

test('errors widen the worst case and leave the rate alone', () => {
  const { rate, interval, worst_case } = rateOf({ k: 30, n: 40, errors: 10 })
  expect(rate).toBe(0.75)
  expect(worst_case).toEqual({ lower: 0.6, upper: 0.8 })
  // Wilson, 95%, of 30 in 40 (Newcombe 1998, method 3).
  expect(interval.lower).toBeCloseTo(0.598_06, 4)
  expect(interval.upper).toBeCloseTo(0.858_13, 4)
})

test('nothing scored is no rate', () => {
  expect(rateOf({ k: 0, n: 0, errors: 3 })).toMatchObject({ rate: null, worst_case: { lower: 0, upper: 1 } })
  expect(rateOf({ k: 0, n: 0, errors: 0 }).rate).toBeNull()
})

test('however the errors had been answered, the rate lies in the worst case', () => {
  const counts = fc.record({ k: fc.nat(50), failures: fc.nat(50), errors: fc.nat(20), right: fc.nat(20) })
  fc.assert(
    fc.property(counts, ({ k, failures, errors, right }) => {
      const n = k + failures
      if (n === 0 || right > errors) return
      const { worst_case } = rateOf({ k, n, errors })
      const answered = (k + right) / (n + errors)
      expect(answered).toBeGreaterThanOrEqual(worst_case.lower)
      expect(answered).toBeLessThanOrEqual(worst_case.upper)
    }),
  )
})
