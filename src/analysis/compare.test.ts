/** The comparison of two arms: how many seeds it takes, and Fisher's exact p by hand. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareArms } from './compare.ts'

test('three seeds a side are not compared', () => {
  expect(compareArms([0, 0, 0], [1, 1, 1, 1])).toEqual({
    comparable: false,
    reason: 'A comparison needs at least 4 training seeds a side; here are 3 and 4.',
  })
})

test('4 against 4, wholly apart: 1 of 70 relabelings is as low', () => {
  const result = compareArms([0, 0.1, 0.02, 0], [0.9, 1, 0.8, 0.95])
  expect(result).toEqual({ comparable: true, difference: expect.closeTo(0.03 - 0.9125, 12), p: 1 / 70 })
  expect(compareArms([0.9, 1, 0.8, 0.95], [0, 0.1, 0.02, 0])).toMatchObject({ p: 1 })
})

test('one overlapping seed: 2 of 70', () => {
  expect(compareArms([0, 1, 2, 4], [3, 5, 6, 7])).toMatchObject({ p: 2 / 70 })
})

test('equal numbers show nothing', () => {
  expect(compareArms([1, 1, 1, 1], [1, 1, 1, 1])).toMatchObject({ difference: 0, p: 1 })
})

test('the order of the seeds does not matter', () => {
  const arm = fc.array(fc.integer({ min: 0, max: 128 }), { minLength: 4, maxLength: 6 })
  fc.assert(
    fc.property(arm, arm, (a, b) => {
      expect(compareArms([...a].reverse(), b)).toEqual(compareArms(a, [...b].reverse()))
    }),
  )
})

test('numbers that are not finite and too many seeds are refused', () => {
  expect(() => compareArms([Number.NaN, 0, 0, 0], [1, 1, 1, 1])).toThrow('finite')
  expect(() => compareArms(Array(11).fill(0), Array(10).fill(1))).toThrow('at most 20 seeds')
})
