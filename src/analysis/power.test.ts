/** The n that claims take, against the numbers of the design and against the judge itself. */
import { describe, expect, test } from 'vitest'
import { defaultThresholds as defaults } from './curve.ts'
import { exactLower, exactUpper } from './intervals.ts'
import {
  decideAboveN,
  decideDifferenceAboveN,
  decideDifferenceBelowN,
  decideGoneN,
  fullCountN,
  noLossN,
  returnN,
  shortfalls,
  smallestN,
  zeroCountN,
} from './power.ts'
import { tangoLower, tangoUpper } from './tango.ts'

describe('perfect data', () => {
  test('59 clean prompts show a rate of at most 0.05, 58 do not', () => {
    expect(zeroCountN(0.05, 0.05)).toBe(59)
    expect(zeroCountN(0.05, 0.05)).toBe(Math.ceil(Math.log(0.05) / Math.log(0.95)))
    expect(exactUpper({ k: 0, n: 58 }, 0.05)).toBeGreaterThan(0.05)
  })

  test.each([
    { checkpoints: 1, n: 72 },
    { checkpoints: 7, n: 110 },
    { checkpoints: 20, n: 131 },
  ])('a return over $checkpoints checkpoints takes $n prompts', ({ checkpoints, n }) => {
    expect(returnN(checkpoints, defaults)).toBe(n)
    // ln(alpha / 2T) / ln(1 - theta)
    expect(n).toBe(Math.ceil(Math.log(0.05 / (2 * checkpoints)) / Math.log(0.95)))
  })

  test('29 fires of 29 show a rate of at least 0.9', () => {
    expect(fullCountN(0.9, 0.05)).toBe(29)
    expect(exactLower({ k: 28, n: 28 }, 0.05)).toBeLessThan(0.9)
  })

  test('25 items without a loss show a loss of less than 0.1', () => {
    expect(noLossN(0.1, 0.05)).toBe(25)
  })

  test('no number shows a rate of at most 0', () => {
    expect(zeroCountN(0, 0.05)).toBeNull()
  })
})

test('smallestN finds every threshold', () => {
  for (const limit of [1, 2, 3, 17, 64, 65, 99_000, 100_000]) expect(smallestN((n) => n >= limit)).toBe(limit)
  expect(smallestN((n) => n >= 100_001)).toBeNull()
  expect(smallestN(() => true, 40)).toBe(40)
})

describe('shortfalls', () => {
  const items = { mmlu: 128, math: 128 }

  test('the demo can reach every verdict', () => {
    expect(shortfalls({ prompts: 128, checkpoints: 7, items }, defaults)).toEqual([])
    expect(shortfalls({ prompts: 110, checkpoints: 7, items }, defaults)).toEqual([])
  })

  test('109 prompts cannot show a return over 7 checkpoints', () => {
    const [only, ...others] = shortfalls({ prompts: 109, checkpoints: 7, items }, defaults)
    expect(others).toEqual([])
    expect(only).toEqual({
      claim: 'return',
      what: 'prompts',
      n: 109,
      needed: 110,
      message: '109 prompts cannot show a return over 7 checkpoints: 110 are needed',
    })
  })

  test('every claim that is out of reach is named', () => {
    const found = shortfalls({ prompts: 40, checkpoints: 3, items: { math: 24 } }, defaults)
    expect(found.map(({ claim, needed }) => [claim, needed])).toEqual([
      ['removed', 59],
      ['installed', 59],
      ['return', 94],
      ['capability', 25],
    ])
  })
})

describe('what would decide', () => {
  test('a rate below theta', () => {
    const n = decideGoneN({ k: 2, n: 64 }, 0.05, 0.05)
    expect(n).toBeGreaterThan(128)
    expect(exactUpper({ k: Math.round(n! / 32), n: n! }, 0.05)).toBeLessThanOrEqual(0.05)
    expect(decideGoneN({ k: 4, n: 64 }, 0.05, 0.05)).toBeNull()
  })

  test('a rate above one half', () => {
    const n = decideAboveN({ k: 9, n: 16 }, 0.5, 0.05)
    expect(exactLower({ k: Math.round((9 / 16) * n!), n: n! }, 0.05)).toBeGreaterThan(0.5)
    expect(n).toBeGreaterThan(100)
    expect(decideAboveN({ k: 8, n: 16 }, 0.5, 0.05)).toBeNull()
  })

  test('a difference on either side of a limit', () => {
    const loss = { onlyFirst: 2, onlySecond: 10, n: 128 }
    const kept = decideDifferenceAboveN(loss, -0.1, 0.05)!
    const scale = kept / 128
    const scaled = { onlyFirst: Math.round(2 * scale), onlySecond: Math.round(10 * scale), n: kept }
    expect(tangoLower(loss, 0.05)).toBeLessThan(-0.1)
    expect(tangoLower(scaled, 0.05)).toBeGreaterThan(-0.1)
    expect(decideDifferenceAboveN(loss, -0.05, 0.05)).toBeNull()

    const slight = { onlyFirst: 8, onlySecond: 11, n: 128 }
    const below = decideDifferenceBelowN(slight, 0, 0.05)!
    const grown = {
      onlyFirst: Math.round((8 * below) / 128),
      onlySecond: Math.round((11 * below) / 128),
      n: below,
    }
    expect(tangoUpper(slight, 0.05)).toBeGreaterThan(0)
    expect(tangoUpper(grown, 0.05)).toBeLessThan(0)
    expect(decideDifferenceBelowN({ onlyFirst: 5, onlySecond: 5, n: 128 }, 0, 0.05)).toBeNull()
  })
})
