/** Tango's interval against published examples, its closed forms and its symmetry. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { difference, pairsOfAnswers, pairsWithStart } from './difference.ts'
import { normalQuantile } from './intervals.ts'
import { type Discordant, tango, tangoLower, tangoUpper } from './tango.ts'

const pairs: fc.Arbitrary<Discordant> = fc
  .tuple(fc.nat(60), fc.nat(60), fc.nat(100))
  .filter(([a, b, c]) => a + b + c > 0)
  .map(([onlyFirst, onlySecond, same]) => ({ onlyFirst, onlySecond, n: onlyFirst + onlySecond + same }))

describe('published examples', () => {
  test.each([
    {
      source: 'Tango 1998, contact lenses, 90%',
      table: [43, 0, 1, 0],
      confidence: 0.9,
      expected: [-0.096, 0.037],
    },
    { source: 'Tango 1998, 95%', table: [4, 9, 3, 16], confidence: 0.95, expected: [-0.027, 0.39] },
    { source: 'Agresti & Min 2005, 95%', table: [53, 16, 8, 9], confidence: 0.95, expected: [-0.02, 0.207] },
    {
      source: 'Fagerland et al. 2014, table V',
      table: [1, 1, 7, 12],
      confidence: 0.95,
      expected: [-0.517, -0.026],
    },
    {
      source: 'Fagerland et al. 2017, Cavo data',
      table: [59, 6, 16, 80],
      confidence: 0.95,
      expected: [-0.124, -0.005],
    },
  ] as const)('$source', ({ table: [both, onlyFirst, onlySecond, neither], confidence, expected }) => {
    const n = both + onlyFirst + onlySecond + neither
    const { lower, upper } = tango({ onlyFirst, onlySecond, n }, confidence)
    expect([lower, upper].map((x) => Number(x.toFixed(3)))).toEqual(expected)
  })
})

describe('closed forms', () => {
  test('no disagreement in n pairs: z^2 / (n + z^2) either way', () => {
    const z = normalQuantile(0.05)
    for (const n of [1, 25, 128]) {
      const none = { onlyFirst: 0, onlySecond: 0, n }
      expect(tangoUpper(none, 0.05)).toBeCloseTo((z * z) / (n + z * z), 6)
      expect(tangoLower(none, 0.05)).toBeCloseTo(-(z * z) / (n + z * z), 6)
    }
  })

  test('the ends of the scale', () => {
    expect(tangoUpper({ onlyFirst: 9, onlySecond: 0, n: 9 }, 0.05)).toBe(1)
    expect(tangoLower({ onlyFirst: 0, onlySecond: 9, n: 9 }, 0.05)).toBe(-1)
    expect(tango({ onlyFirst: 0, onlySecond: 0, n: 0 })).toEqual({ lower: -1, upper: 1 })
  })

  test('more discordant pairs than pairs are refused', () => {
    expect(() => tangoUpper({ onlyFirst: 3, onlySecond: 3, n: 5 }, 0.05)).toThrow('impossible')
  })
})

describe('properties', () => {
  test('the estimate is inside, and less error means wider', () => {
    fc.assert(
      fc.property(pairs, (table) => {
        const estimate = (table.onlyFirst - table.onlySecond) / table.n
        const wide = tango(table, 0.99)
        const narrow = tango(table, 0.9)
        expect(narrow.lower).toBeLessThanOrEqual(estimate + 1e-12)
        expect(narrow.upper).toBeGreaterThanOrEqual(estimate - 1e-12)
        expect(wide.lower).toBeLessThanOrEqual(narrow.lower)
        expect(wide.upper).toBeGreaterThanOrEqual(narrow.upper)
      }),
    )
  })

  test('one pair more in favour of the first moves both ends up', () => {
    fc.assert(
      fc.property(pairs, ({ onlyFirst, onlySecond, n }) => {
        if (onlyFirst + onlySecond === n) return
        const now = tango({ onlyFirst, onlySecond, n })
        const more = tango({ onlyFirst: onlyFirst + 1, onlySecond, n })
        expect(more.lower).toBeGreaterThan(now.lower)
        expect(more.upper).toBeGreaterThanOrEqual(now.upper)
      }),
    )
  })
})

describe('difference', () => {
  const now = { k: 90, n: 128 }
  const start = { k: 100, n: 128 }

  test('uses the pairs where there are any', () => {
    const table = pairsWithStart({ both: 88, only_now: 2, only_start: 12, neither: 26 })
    const change = difference({ first: now, second: start, pairs: table }, 0.05)
    expect(change).toEqual({
      estimate: -10 / 128,
      lower: tangoLower({ onlyFirst: 2, onlySecond: 12, n: 128 }, 0.05),
      upper: tangoUpper({ onlyFirst: 2, onlySecond: 12, n: 128 }, 0.05),
      paired: true,
    })
  })

  test('without pairs its bounds are wider than with any pairs of these counts', () => {
    const unpaired = difference({ first: now, second: start, pairs: null }, 0.05)
    expect(unpaired.paired).toBe(false)
    for (let both = 62; both <= 90; both++) {
      const table = { onlyFirst: 90 - both, onlySecond: 100 - both, n: 128 }
      const paired = difference({ first: now, second: start, pairs: table }, 0.05)
      expect(unpaired.lower).toBeLessThan(paired.lower)
      expect(unpaired.upper).toBeGreaterThan(paired.upper)
    }
  })

  test('no pairs at all are no pairs', () => {
    expect(pairsWithStart({ both: 0, only_now: 0, only_start: 0, neither: 0 })).toBeNull()
    expect(pairsOfAnswers(undefined)).toBeNull()
  })
})
