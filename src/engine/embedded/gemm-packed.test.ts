/** Products with a packed matrix: the bits of the product with the matrix as it lies, for every number of rows. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rng } from '../../rng.ts'
import { loadKernels } from './kernels.ts'

const k = loadKernels()
const stream = rng('packed products')
const noise = Float32Array.from({ length: 1 << 18 }, () => stream.normal())

interface Shape {
  readonly rows: number
  readonly columns: number
  readonly depth: number
  /** Elements that lie between two rows of c and of a. */
  readonly gap: number
  readonly accumulate: 0 | 1
  readonly threads: number
}

function expectSame({ rows, columns, depth, gap, accumulate, threads }: Shape): void {
  k.setThreads(threads)
  const [a, b] = [noise.subarray(0, rows * (depth + gap)), noise.subarray(99, 99 + columns * depth)]
  const expected = noise.slice(5, 5 + rows * (columns + gap))
  const found = expected.slice()
  k.gemm(expected, a, b, rows, columns, depth, columns + gap, depth + gap, depth, 0, 1, accumulate, 1)
  const packed = k.allocate(k.gemmPackedSize(columns, depth))
  k.gemmPack(packed, b, columns, depth, depth, 1)
  k.gemmPacked(found, a, packed, rows, columns, depth, columns + gap, depth + gap, accumulate)
  k.setThreads(1)
  expect(found).toEqual(expected)
}

test('are those of the product with the matrix as it lies', () => {
  const shape = fc.record({
    rows: fc.integer({ min: 1, max: 70 }),
    columns: fc.integer({ min: 1, max: 170 }),
    depth: fc.integer({ min: 1, max: 600 }),
    gap: fc.constantFrom(0, 3),
    accumulate: fc.constantFrom(0 as const, 1 as const),
    threads: fc.integer({ min: 1, max: 5 }),
  })
  fc.assert(fc.property(shape, expectSame), { numRuns: 60 })
})

test.each([1, 12, 13, 64, 255, 256, 257, 300])('%i rows', (rows) => {
  for (const threads of [1, 2, 3])
    expectSame({ rows, columns: 96, depth: 520, gap: 0, accumulate: 1, threads })
})

test('refuse arrays that are too short', () => {
  const packed = k.allocate(k.gemmPackedSize(40, 8))
  const call = (c: number, a: number, p = packed): void =>
    k.gemmPacked(new Float32Array(c), new Float32Array(a), p, 2, 40, 8, 40, 8, 0)
  call(80, 16)
  expect(() => call(79, 16)).toThrow('too short')
  expect(() => call(80, 15)).toThrow('too short')
  expect(() => call(80, 16, packed.subarray(1))).toThrow('too short')
})

test('of depth 0 are 0, or what was there', () => {
  for (const accumulate of [0, 1] as const) {
    const c = Float32Array.of(1, 2, 3, 4, 5, 6)
    k.gemmPacked(c, new Float32Array(0), new Float32Array(0), 2, 2, 0, 3, 0, accumulate)
    expect([...c]).toEqual(accumulate === 1 ? [1, 2, 3, 4, 5, 6] : [0, 0, 3, 0, 0, 6])
  }
})
