/** Batches hold every item once and stay within their limits. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BatchItem, planBatches } from './batching.ts'

const item = (length: number, elements = 1): BatchItem => ({ length, elements })
const sizes = (count: number): number[] =>
  planBatches(Array.from({ length: count }, () => item(1))).map(({ length }) => length)

test('few items are one batch, many are pairs of about equal batches', () => {
  expect(sizes(0)).toEqual([])
  expect(sizes(8)).toEqual([8])
  expect(sizes(20)).toEqual([10, 10])
  expect(sizes(128)).toEqual([64, 64])
  expect(sizes(129)).toEqual([33, 33, 33, 30])
  expect(sizes(256)).toEqual([64, 64, 64, 64])
})

test('the longest come first, equals in their own order', () => {
  expect(planBatches([item(3), item(5), item(3), item(9)])).toEqual([[3, 1, 0, 2]])
})

test('large items share a batch with few others, and a huge one has its own', () => {
  expect(
    planBatches([item(9, 2 ** 27), item(8, 2 ** 25), item(7, 2 ** 25), item(6, 2 ** 25), item(5, 1)]),
  ).toEqual([[0], [1, 2], [3, 4]])
})

test('every item is in exactly one batch, of at most 64 items within the element limit', () => {
  const items = fc.array(
    fc.record({ length: fc.integer({ min: 1, max: 50 }), elements: fc.integer({ min: 1, max: 2 ** 24 }) }),
    { maxLength: 300 },
  )
  fc.assert(
    fc.property(items, (all) => {
      const batches = planBatches(all)
      expect(batches.flat().sort((a, b) => a - b)).toEqual([...all.keys()])
      for (const batch of batches) {
        expect(batch.length).toBeLessThanOrEqual(64)
        const largest = Math.max(...batch.map((i) => all[i]!.elements))
        if (batch.length > 1) expect(largest * batch.length).toBeLessThanOrEqual(2 ** 26)
      }
      const lengths = batches.flat().map((i) => all[i]!.length)
      expect(lengths).toEqual(lengths.toSorted((a, b) => b - a))
    }),
  )
})
