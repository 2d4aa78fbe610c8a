/** Anytime bounds and stopping: their formula, what they cost, and their error by simulation and by enumeration. */
import { describe, expect, test } from 'vitest'
import { rng } from '../rng.ts'
import { pairsToStopWithin, samplesToStopAtMost } from '../spec/sequential-design.ts'
import { defaultThresholds } from './curve.ts'
import { exactLower, exactUpper } from './intervals.ts'
import { anytimeLower, anytimeUpper, logEvidence, shownAtMost } from './sequential.ts'
import { anytimePairsLower, anytimePairsUpper } from './sequential-pairs.ts'
import { decided, fewestToGone, sequentialBatch } from './sequential-stop.ts'
import { tangoLower } from './tango.ts'

const limits = defaultThresholds

const rising = (x: number, times: number): number =>
  Array.from({ length: times }, (_, i) => x + i).reduce((a, b) => a * b, 1)

/** Prompts that a sequential design asks of one that plans `planned`, and what it decides. */
function sample(fires: () => boolean, planned: number) {
  let k = 0
  for (let n = 1; n <= planned; n++) {
    if (fires()) k++
    if (n % sequentialBatch !== 0 && n !== planned) continue
    const decision = decided({ k, n }, null, limits)
    if (decision !== null) return { n, decision }
  }
  return { n: planned, decision: null }
}

describe('the e-process', () => {
  test('is nine tenths of the likelihood ratio and one tenth of the mixture', () => {
    // The likelihood of 2 of 10 under Jeffreys' prior, as the product of its predictions.
    const mixture = (rising(0.5, 2) * rising(0.5, 8)) / rising(1, 10)
    const ratio = 0.1 ** 2 * (0.995 / 0.95) ** 8
    const expected = 0.9 * ratio + (0.1 * mixture) / (0.05 ** 2 * 0.95 ** 8)
    expect(Math.exp(logEvidence({ k: 2, n: 10 }, 0.05))).toBeCloseTo(expected, 12)
    expect(logEvidence({ k: 0, n: 0 }, 0.05)).toBeCloseTo(0, 12)
  })

  test('is expected to stay at 1 under its rate: the sum over all outcomes of 12 samples', () => {
    for (const p of [0.05, 0.3, 0.8]) {
      let mean = 0
      let choose = 1
      for (let k = 0; k <= 12; k++) {
        mean += choose * p ** k * (1 - p) ** (12 - k) * Math.exp(logEvidence({ k, n: 12 }, p))
        choose = (choose * (12 - k)) / (k + 1)
      }
      expect(mean).toBeCloseTo(1, 10)
    }
  })

  test('bounds contain the exact ones, mirror each other, and 0 and n are handled', () => {
    for (const [k, n] of [
      [0, 70],
      [3, 128],
      [64, 128],
      [128, 128],
      [1, 1],
    ] as const) {
      expect(anytimeUpper({ k, n }, 0.05)).toBeGreaterThanOrEqual(exactUpper({ k, n }, 0.05))
      expect(anytimeLower({ k, n }, 0.05)).toBeLessThanOrEqual(exactLower({ k, n }, 0.05))
      expect(anytimeLower({ k, n }, 0.05)).toBeCloseTo(1 - anytimeUpper({ k: n - k, n }, 0.05), 12)
    }
    expect(anytimeUpper({ k: 0, n: 0 }, 0.05)).toBe(1)
    const upper = anytimeUpper({ k: 2, n: 128 }, 0.05)
    expect(shownAtMost({ k: 2, n: 128 }, upper + 1e-9, 0.05)).toBe(true)
    expect(shownAtMost({ k: 2, n: 128 }, upper - 1e-9, 0.05)).toBe(false)
    expect(anytimeUpper({ k: 64, n: 128 }, 0.05)).toBeLessThan(0.68)
  })
})

describe('stopping', () => {
  test('at rate 0 and at rate 1 it asks 70 and 10 prompts where a fixed design asks 200', () => {
    expect(sample(() => false, 200)).toEqual({ n: 70, decision: 'gone' })
    expect(sample(() => true, 200)).toEqual({ n: 10, decision: 'there' })
    expect(fewestToGone(limits.theta, limits.alpha)).toBe(67)
  })

  test.each([0.01, 0.05, 0.2])('designs are checked for the n that the bounds need, at %d', (rate) => {
    expect(samplesToStopAtMost(rate, 0.05)).toBe(fewestToGone(rate, 0.05))
    const n = pairsToStopWithin(rate, 0.05)
    expect(anytimePairsLower({ onlyFirst: 0, onlySecond: 0, n }, 0.05)).toBeGreaterThan(-rate - 1e-9)
    expect(anytimePairsLower({ onlyFirst: 0, onlySecond: 0, n: n - 1 }, 0.05)).toBeLessThan(-rate)
  })

  test('a payload that is gone waits for its answers', () => {
    const gone = { k: 0, n: 70 }
    expect(decided(gone, { onlyFirst: 0, onlySecond: 0, n: 70 }, limits)).toBe('gone')
    expect(decided(gone, { onlyFirst: 0, onlySecond: 30, n: 70 }, limits)).toBe('gone')
    expect(decided(gone, { onlyFirst: 2, onlySecond: 6, n: 70 }, limits)).toBeNull()
  })

  test('says gone of a rate of theta in at most alpha of 20,000 samplings, and there of one half', () => {
    const seeds = 20_000
    let gone = 0
    let there = 0
    for (let seed = 0; seed < seeds; seed++) {
      const random = rng(seed, 'sequential')
      if (sample(() => random.next() < limits.theta, 200).decision === 'gone') gone++
      if (sample(() => random.next() < limits.survived, 200).decision === 'there') there++
    }
    // Three standard errors of a share of alpha.
    const most = limits.alpha + 3 * Math.sqrt((limits.alpha * (1 - limits.alpha)) / seeds)
    expect(gone / seeds).toBeLessThanOrEqual(most)
    expect(there / seeds).toBeLessThanOrEqual(most)
    expect(Math.min(gone, there)).toBeGreaterThan(0)
  })

  test('is wrong with at most alpha at any of 300 looks, by enumeration', () => {
    for (const p of [0.05, 0.1]) {
      let alive = new Map([[0, 1]])
      let stopped = 0
      for (let n = 1; n <= 300; n++) {
        const next = new Map<number, number>()
        for (const [s, mass] of alive) {
          for (const [k, share] of [
            [s + 1, p],
            [s, 1 - p],
          ] as const) {
            if (shownAtMost({ k, n }, p, limits.alpha)) stopped += mass * share
            else next.set(k, (next.get(k) ?? 0) + mass * share)
          }
        }
        alive = next
      }
      expect(stopped).toBeLessThanOrEqual(limits.alpha)
      expect(stopped).toBeGreaterThan(0.001)
    }
  })
})

describe('paired differences', () => {
  test('bounds are wider than those of Tango, and mirror each other', () => {
    for (const pairs of [
      { onlyFirst: 0, onlySecond: 0, n: 70 },
      { onlyFirst: 5, onlySecond: 9, n: 128 },
      { onlyFirst: 60, onlySecond: 10, n: 128 },
    ]) {
      const { onlyFirst, onlySecond, n } = pairs
      expect(anytimePairsLower(pairs, 0.05)).toBeLessThan(tangoLower(pairs, 0.05))
      const swapped = { onlyFirst: onlySecond, onlySecond: onlyFirst, n }
      expect(anytimePairsUpper(pairs, 0.05)).toBeCloseTo(-anytimePairsLower(swapped, 0.05), 12)
    }
    expect(anytimePairsLower({ onlyFirst: 0, onlySecond: 4, n: 4 }, 0.05)).toBe(-1)
    expect(anytimePairsUpper({ onlyFirst: 0, onlySecond: 0, n: 0 }, 0.05)).toBe(1)
    expect(() => anytimePairsLower({ onlyFirst: 3, onlySecond: 3, n: 5 }, 0.05)).toThrow('impossible')
  })

  test.each([
    { first: 0.05, second: 0.15 },
    { first: 0.2, second: 0.3 },
    { first: 0, second: 0.1 },
  ])(
    'a loss of exactly the margin ($first gained, $second lost) is called smaller in at most alpha',
    (shares) => {
      const trials = 1000
      let wrong = 0
      for (let seed = 0; seed < trials; seed++) {
        const random = rng(seed, 'pairs')
        let onlyFirst = 0
        let onlySecond = 0
        for (let n = 1; n <= 200; n++) {
          const draw = random.next()
          if (draw < shares.first) onlyFirst++
          else if (draw < shares.first + shares.second) onlySecond++
          if (n % sequentialBatch !== 0) continue
          if (anytimePairsLower({ onlyFirst, onlySecond, n }, 0.05) <= -0.1) continue
          wrong++
          break
        }
      }
      expect(wrong / trials).toBeLessThanOrEqual(0.05 + 3 * Math.sqrt((0.05 * 0.95) / trials))
    },
  )
})
