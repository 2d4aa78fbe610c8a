/** What the kernels' native side refuses: arguments that would make it read or write beside an array. */
import { expect, test } from 'vitest'
import { loadKernels } from './kernels.ts'

const k = loadKernels()
const floats = new Float32Array(64)
const integers = new Int32Array(64)
/** As a caller without types would. */
const call = (name: 'addBias' | 'gather' | 'rope' | 'scale', ...values: readonly unknown[]): unknown =>
  Reflect.apply(k[name], k, values)

test('sizes whose product fits no integer are no small sizes', () => {
  // Each a size by itself; their product is 0 or a small number modulo 2^64.
  expect(() => call('addBias', floats, floats, 2 ** 33 + 1, 4, 2 ** 32)).toThrow('too short')
  expect(() => call('gather', floats, floats, integers, 2 ** 40, 2 ** 40, 4)).toThrow('too short')
  expect(() => call('rope', floats, integers, floats, floats, 1, 2 ** 51, 2 ** 14, 0, 1, 1)).toThrow(
    'too short',
  )
})

test('more arguments than any kernel takes', () => {
  const some = Array<number>(41).fill(1)
  expect(() => call('scale', floats, ...some)).toThrow('too many arguments')
  expect(() => call('scale', floats, ...some.slice(0, 30))).toThrow('too many numbers')
})

test('numbers that are no sizes', () => {
  for (const size of [-1, 0.5, NaN, Infinity, 2 ** 53])
    expect(() => call('scale', floats, size, 1), String(size)).toThrow('not a whole number')
})

test('floats where integers are read, and integers where floats are', () => {
  expect(() => call('gather', floats, floats, floats, 1, 4, 4)).toThrow('not of integers')
  expect(() => call('gather', integers, floats, integers, 1, 4, 4)).toThrow('not of floats')
  call('gather', floats, floats, integers, 1, 4, 4)
})
