/** The axis of steps: readable ticks, nudges in pixels, labels that keep apart. */
import { array, assert, double, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { spread, stepAxis } from './axis.ts'

describe('steps', () => {
  test('doubling steps get a symmetric log and all of their labels', () => {
    const axis = stepAxis([0, 4, 8, 16, 32, 64, 128], 220)
    expect(axis.scale).toMatchObject({ type: 'symlog', constant: 4, domain: [0, 128] })
    expect(axis.ticks).toEqual([0, 4, 8, 16, 32, 64, 128])
  })

  test('even steps stay linear', () => {
    expect(stepAxis([0, 10, 20, 30], 220).scale).toMatchObject({ type: 'linear', domain: [0, 30] })
  })

  test('crowded labels are dropped, first and last stay', () => {
    const steps = Array.from({ length: 101 }, (_, i) => i * 10)
    const { ticks } = stepAxis(steps, 200)
    expect(ticks.length).toBeLessThan(20)
    expect([ticks.at(0), ticks.at(-1)]).toEqual([0, 1000])
  })

  test.each([[[0]], [[]], [[0, 1]]])('a domain with a width for steps %j', (steps) => {
    const { scale, ticks } = stepAxis(steps, 200)
    expect(scale['domain']).toEqual([0, 1])
    expect(ticks).toEqual(steps)
  })

  test('a nudge is the same distance everywhere', () => {
    const axis = stepAxis([0, 4, 128], 200)
    for (const step of [0, 4, 40, 128]) {
      for (const pixels of [-3, 0, 5])
        expect(pixel(axis.nudge(step, pixels)) - pixel(step)).toBeCloseTo(pixels, 9)
    }
  })
})

/** Where a symmetric log with constant 4 draws a step on 200 pixels up to step 128. */
function pixel(step: number): number {
  return (Math.sign(step) * Math.log1p(Math.abs(step) / 4) * 200) / Math.log1p(32)
}

test('spread labels keep their order, their distance and their room', () => {
  const place = double({ min: 0, max: 100, noNaN: true })
  assert(
    property(array(place, { minLength: 1, maxLength: 9 }), (values) => {
      const placed = spread(values, 11, 0, 100)
      const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!)
      const sorted = order.map((i) => placed[i]!)
      for (let i = 1; i < sorted.length; i++)
        expect(sorted[i]! - sorted[i - 1]!).toBeGreaterThanOrEqual(11 - 1e-9)
      expect(sorted[0]).toBeGreaterThanOrEqual(-1e-9)
      expect(sorted.at(-1)).toBeLessThanOrEqual(100 + 1e-9)
    }),
  )
})
