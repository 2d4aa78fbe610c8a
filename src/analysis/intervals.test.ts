/** Intervals against published tables, exact enumeration and their own symmetries. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Interval,
  bounded,
  clopperPearson,
  exactLower,
  exactUpper,
  normalQuantile,
  wilson,
  worstCase,
} from './intervals.ts'

/** Newcombe 1998, Statistics in Medicine 17, 857-872, table I: methods 3 (score) and 5 (Clopper-Pearson), 95%. */
const newcombe = [
  { k: 81, n: 263, score: [0.2553, 0.3662], exact: [0.2527, 0.3676] },
  { k: 15, n: 148, score: [0.0624, 0.1605], exact: [0.0578, 0.1617] },
  { k: 0, n: 20, score: [0, 0.1611], exact: [0, 0.1684] },
  { k: 1, n: 29, score: [0.0061, 0.1718], exact: [0.0009, 0.1776] },
] as const

const round = ({ lower, upper }: Interval): number[] => [lower, upper].map((x) => Number(x.toFixed(4)))

const counts = fc
  .integer({ min: 1, max: 400 })
  .chain((n) => fc.record({ k: fc.integer({ min: 0, max: n }), n: fc.constant(n) }))
const alphas = fc.constantFrom(0.05, 0.025, 0.05 / 14, 0.05 / 40)

describe('published values', () => {
  test.each(newcombe)('Newcombe 1998: $k of $n', ({ k, n, score, exact }) => {
    expect(round(wilson({ k, n }))).toEqual(score)
    expect(round(clopperPearson({ k, n }))).toEqual(exact)
  })

  test('normal quantiles', () => {
    expect(normalQuantile(0.05)).toBeCloseTo(1.6448536269514722, 12)
    expect(normalQuantile(0.025)).toBeCloseTo(1.959963984540054, 12)
  })

  test('no event in n: 1 - alpha^(1/n), which the rule of three rounds up (Hanley & Lippman-Hand 1983)', () => {
    for (const n of [30, 59, 128, 1000]) {
      const upper = exactUpper({ k: 0, n }, 0.05)
      expect(upper).toBeCloseTo(1 - 0.05 ** (1 / n), 12)
      expect(upper).toBeLessThan(3 / n)
      expect(upper).toBeGreaterThan(3 / (n + 3))
    }
  })
})

describe('edges', () => {
  test('nothing tried says nothing', () => {
    expect(wilson({ k: 0, n: 0 })).toEqual({ lower: 0, upper: 1 })
    expect(clopperPearson({ k: 0, n: 0 })).toEqual({ lower: 0, upper: 1 })
    expect(bounded({ k: 0, n: 0 }, 0.05)).toEqual({ k: 0, n: 0, lower: 0, upper: 1 })
  })

  test('none and all reach the ends exactly', () => {
    expect(clopperPearson({ k: 0, n: 7 }).lower).toBe(0)
    expect(clopperPearson({ k: 7, n: 7 }).upper).toBe(1)
    expect(wilson({ k: 0, n: 7 }).lower).toBe(0)
    expect(wilson({ k: 7, n: 7 }).upper).toBe(1)
  })

  test.each([
    { k: 3, n: 2 },
    { k: -1, n: 2 },
    { k: 0.5, n: 2 },
    { k: 0, n: Number.NaN },
  ])('$k of $n is refused', (count) => {
    expect(() => wilson(count)).toThrow('is no count of successes')
    expect(() => exactLower(count, 0.05)).toThrow('is no count of successes')
  })
})

describe('properties', () => {
  test('an interval contains its rate', () => {
    fc.assert(
      fc.property(counts, alphas, ({ k, n }, alpha) => {
        for (const { lower, upper } of [
          wilson({ k, n }, 1 - 2 * alpha),
          clopperPearson({ k, n }, 1 - 2 * alpha),
        ]) {
          expect(lower).toBeLessThanOrEqual(k / n)
          expect(upper).toBeGreaterThanOrEqual(k / n)
        }
      }),
    )
  })

  test('successes and failures mirror each other', () => {
    fc.assert(
      fc.property(counts, alphas, ({ k, n }, alpha) => {
        expect(exactLower({ k, n }, alpha)).toBeCloseTo(1 - exactUpper({ k: n - k, n }, alpha), 9)
        expect(wilson({ k, n }).lower).toBeCloseTo(1 - wilson({ k: n - k, n }).upper, 9)
      }),
    )
  })

  test('one more success moves both ends up', () => {
    fc.assert(
      fc.property(counts, alphas, ({ k, n }, alpha) => {
        if (k === n) return
        const now = bounded({ k, n }, alpha)
        const more = bounded({ k: k + 1, n }, alpha)
        expect(more.lower).toBeGreaterThan(now.lower)
        expect(more.upper).toBeGreaterThan(now.upper)
        expect(wilson({ k: k + 1, n }).lower).toBeGreaterThan(wilson({ k, n }).lower)
      }),
    )
  })

  test('an exact bound is where the binomial tail equals alpha', () => {
    fc.assert(
      fc.property(counts, alphas, ({ k, n }, alpha) => {
        if (k === 0) return
        const tail = 1 - binomialCdf(k - 1, n, exactLower({ k, n }, alpha))
        expect(tail / alpha).toBeCloseTo(1, 5)
      }),
    )
  })
})

test('Clopper-Pearson covers at least its level, by enumeration of every outcome', () => {
  for (let n = 1; n <= 12; n++) {
    const intervals = Array.from({ length: n + 1 }, (_, k) => clopperPearson({ k, n }))
    for (let i = 1; i < 100; i++) {
      const p = i / 100
      const coverage = intervals.reduce((sum, { lower, upper }, k) => {
        return lower <= p && p <= upper ? sum + binomial(k, n, p) : sum
      }, 0)
      expect(coverage).toBeGreaterThanOrEqual(0.95 - 1e-12)
    }
  }
})

function binomial(k: number, n: number, p: number): number {
  let log = k * Math.log(p) + (n - k) * Math.log1p(-p)
  for (let i = 1; i <= k; i++) log += Math.log((n - k + i) / i)
  return Math.exp(log)
}

function binomialCdf(k: number, n: number, p: number): number {
  if (p >= 1) return k >= n ? 1 : 0
  let sum = 0
  for (let i = 0; i <= k; i++) sum += binomial(i, n, p)
  return sum
}

test('failed requests widen an interval to every answer that they could have given', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 0, max: 60 }),
      fc.nat(8),
      (k, more, errors) => {
        const count = { k, n: k + more }
        const { lower, upper } = worstCase(count, errors)
        for (let successes = 0; successes <= errors; successes++) {
          const answered = wilson({ k: k + successes, n: count.n + errors })
          expect(answered.lower).toBeGreaterThanOrEqual(lower)
          expect(answered.upper).toBeLessThanOrEqual(upper)
        }
        if (errors === 0) expect({ lower, upper }).toEqual(wilson(count))
      },
    ),
  )
})
