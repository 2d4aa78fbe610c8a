/** The sequential test: its formula, its stopping points, and its error by exact enumeration. */
import { expect, test } from 'vitest'
import { type SequentialTest, logE, stopsAt } from './sequential.ts'

const gone: SequentialTest = { p0: 0.05, p1: 0.005, alpha: 0.05 }
const there: SequentialTest = { p0: 0.05, p1: 0.5, alpha: 0.05 }

test('E is the likelihood ratio', () => {
  expect(Math.exp(logE({ k: 2, n: 10 }, gone))).toBeCloseTo(0.1 ** 2 * (0.995 / 0.95) ** 8, 12)
  expect(logE({ k: 0, n: 0 }, gone)).toBe(0)
})

test('65 clean samples show that the payload is gone, 64 do not', () => {
  const clean = Array.from({ length: 200 }, () => false)
  expect(stopsAt(clean, gone)).toBe(65)
  expect(stopsAt(clean.slice(0, 64), gone)).toBeNull()
  expect(stopsAt([true, ...clean], gone)).toBe(116)
})

test('two fires in a row show that it is still there', () => {
  expect(stopsAt([true, true, false], there)).toBe(2)
  expect(stopsAt([true, false, true], there)).toBe(3)
})

test.each([
  { name: 'gone', check: gone, rates: [0.05, 0.1] },
  { name: 'there', check: there, rates: [0.05, 0.01] },
])('$name: wrong at any look with probability at most alpha', ({ check, rates }) => {
  for (const p of rates) {
    // Probability of each number of successes among those not yet stopped.
    let alive = new Map([[0, 1]])
    let stopped = 0
    for (let t = 1; t <= 300; t++) {
      const next = new Map<number, number>()
      for (const [s, mass] of alive) {
        for (const [k, share] of [
          [s + 1, p],
          [s, 1 - p],
        ] as const) {
          if (logE({ k, n: t }, check) >= -Math.log(check.alpha)) stopped += mass * share
          else next.set(k, (next.get(k) ?? 0) + mass * share)
        }
      }
      alive = next
    }
    expect(stopped).toBeLessThanOrEqual(check.alpha)
    expect(stopped).toBeGreaterThan(0)
  }
})

test('rates of 0 or 1 and equal rates are refused', () => {
  expect(() => logE({ k: 0, n: 1 }, { ...gone, p1: 0 })).toThrow('two different rates')
  expect(() => logE({ k: 0, n: 1 }, { ...gone, p1: 0.05 })).toThrow('two different rates')
})
