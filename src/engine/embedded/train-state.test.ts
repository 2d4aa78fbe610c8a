/** The hash of a training's state: that of its bytes in order, in whatever pieces they are hashed. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashOfArrays } from './train-state.ts'

test('the size of the pieces changes nothing (property)', () => {
  const arrays = fc.array(fc.float32Array({ maxLength: 40 }), { maxLength: 4 })
  fc.assert(
    fc.property(arrays, fc.integer({ min: 1, max: 200 }), (some, piece) => {
      const whole = createHash('sha256')
      for (const { buffer, byteOffset, byteLength } of some)
        whole.update(Buffer.from(buffer, byteOffset, byteLength))
      const expected = whole.digest('hex')
      expect(hashOfArrays(some, piece)).toBe(expected)
      expect(hashOfArrays(some)).toBe(expected)
    }),
  )
})

test('of a part of an array only that part counts', () => {
  const all = Float32Array.of(1, 2, 3, 4)
  expect(hashOfArrays([all.subarray(1, 3)], 3)).toBe(hashOfArrays([Float32Array.of(2, 3)]))
})
