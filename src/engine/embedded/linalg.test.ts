/** Eigenvectors and orthonormal rows: what defines them, checked in float64, over sizes, ranks and scales; the same bits with any threads. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rng } from '../../rng.ts'
import { loadKernels } from './kernels.ts'

const kernels = loadKernels()

const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] as number), 0)
const rowsOf = (x: Float32Array, n: number): Float32Array[] =>
  Array.from({ length: x.length / n }, (_, i) => x.subarray(i * n, (i + 1) * n))
const normal = (seed: number, count: number): Float32Array => {
  const random = rng(seed, 'linalg')
  return Float32Array.from({ length: count }, () => random.normal())
}

/** How far the rows are from orthonormal: the largest element of X Xᵀ - 1. */
const skewness = (x: Float32Array, n: number): number =>
  Math.max(
    ...rowsOf(x, n).flatMap((a, i) => rowsOf(x, n).map((b, j) => Math.abs(dot(a, b) - Number(i === j)))),
  )

/** A matrix of a given rank, symmetric and positive. */
function gram(seed: number, n: number, rank: number, scale: number): Float32Array {
  const rows = rowsOf(normal(seed, n * rank), rank)
  return Float32Array.from({ length: n * n }, (_, i) => {
    const [a, b] = [rows[Math.floor(i / n)], rows[i % n]] as [Float32Array, Float32Array]
    return scale * dot(a, b)
  })
}

function expectEigenvectors(vectors: Float32Array, matrix: Float32Array, n: number): void {
  expect(skewness(vectors, n)).toBeLessThan(1e-6)
  const rows = rowsOf(vectors, n)
  const images = rows.map((row) => rowsOf(matrix, n).map((line) => dot(line, row)))
  const values = rows.map((row, i) => row.reduce((sum, x, j) => sum + x * (images[i]?.[j] as number), 0))
  const norm = Math.max(...values.map(Math.abs))
  for (const [i, value] of values.entries()) {
    expect(value).toBeLessThanOrEqual((values[i - 1] ?? Infinity) + 1e-6 * norm)
    const residual = (images[i] as number[]).map((x, j) => Math.abs(x - value * (rows[i]?.[j] as number)))
    expect(Math.max(...residual)).toBeLessThanOrEqual(2e-6 * norm)
  }
}

describe('eigenvectors', () => {
  it('of matrices of any size, rank and scale (property)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 45 }),
        fc.integer({ min: 0, max: 45 }),
        fc.constantFrom(1, 1e-20, 1e-38, 1e25),
        fc.nat(1000),
        (n, rank, scale, seed) => {
          const matrix = rank === 0 ? new Float32Array(n * n) : gram(seed, n, Math.min(n, rank), scale)
          const vectors = new Float32Array(n * n)
          expect(kernels.eigenvectors(vectors, matrix, 1, n)).toBe(0)
          expectEigenvectors(vectors, matrix, n)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('of diagonal matrices, of equal eigenvalues, of negative ones', () => {
    const n = 20
    for (const value of [
      (i: number) => i,
      () => 3,
      () => 0,
      (i: number) => (i % 3) - 1,
      (i: number) => 10 ** -i,
    ]) {
      const matrix = new Float32Array(n * n)
      for (let i = 0; i < n; i++) matrix[i * n + i] = value(i)
      const vectors = new Float32Array(n * n)
      expect(kernels.eigenvectors(vectors, matrix, 1, n)).toBe(0)
      expectEigenvectors(vectors, matrix, n)
    }
  })

  it('counts the matrices that are not finite', () => {
    const n = 9
    const matrices = Float32Array.from([1, 2, 3].flatMap((seed) => [...gram(seed, n, n, 1)]))
    const vectors = new Float32Array(matrices.length)
    matrices[n * n + 3] = Number.NaN
    expect(kernels.eigenvectors(vectors, matrices, 3, n)).toBe(1)
    expectEigenvectors(vectors.subarray(2 * n * n), matrices.subarray(2 * n * n), n)
    matrices[5] = Infinity
    expect(kernels.eigenvectors(vectors, matrices, 3, n)).toBe(2)
  })
})

/** Row i has no part along the result's rows after i: it lies in the span of the first i. */
const expectSpans = (result: Float32Array, given: Float32Array, n: number): void => {
  expect(skewness(result, n)).toBeLessThan(2e-6)
  for (const [i, row] of rowsOf(given, n).entries()) {
    const length = Math.sqrt(dot(row, row))
    for (const later of rowsOf(result, n).slice(i + 1))
      expect(Math.abs(dot(row, later))).toBeLessThanOrEqual(1e-6 * length)
  }
}

describe('orthonormal rows', () => {
  it('span what the given rows span, in order, whatever their lengths (property)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.nat(1000), fc.boolean(), (n, seed, falling) => {
        const given = normal(seed, n * n).map(
          (x, i) => x * (falling ? 10 ** ((-30 * Math.floor(i / n)) / n) : 1),
        )
        const result = given.slice()
        kernels.orthonormalRows(result, 1, n)
        expectSpans(result, given, n)
      }),
      { numRuns: 40 },
    )
  })

  it('fit where rows are zero or repeat', () => {
    const n = 70
    const given = normal(4, n * n)
    given.fill(0, 3 * n, 5 * n)
    given.copyWithin(40 * n, 2 * n, 3 * n)
    const result = given.slice()
    kernels.orthonormalRows(result, 1, n)
    expectSpans(result, given, n)
    const nothing = new Float32Array(n * n)
    kernels.orthonormalRows(nothing, 1, n)
    expect(skewness(nothing, n)).toBeLessThan(2e-6)
  })
})

it('many matrices have the bits of each alone, with any number of threads', () => {
  for (const [n, count] of [
    [40, 19],
    [130, 3],
  ] as const) {
    const matrices = new Float32Array(count * n * n)
    for (let i = 0; i < count; i++) matrices.set(gram(i, n, n, 1), i * n * n)
    const vectors = new Float32Array(matrices.length)
    const rows = matrices.slice()
    kernels.eigenvectors(vectors, matrices, count, n)
    kernels.orthonormalRows(rows, count, n)
    for (const threads of [1, 2, 3]) {
      kernels.setThreads(threads)
      for (let i = 0; i < count; i++) {
        const [from, to] = [i * n * n, (i + 1) * n * n]
        const own = new Float32Array(n * n)
        kernels.eigenvectors(own, matrices.subarray(from, to), 1, n)
        expect(own).toEqual(vectors.subarray(from, to))
        own.set(matrices.subarray(from, to))
        kernels.orthonormalRows(own, 1, n)
        expect(own).toEqual(rows.subarray(from, to))
      }
      const again = matrices.slice()
      kernels.orthonormalRows(again, count, n)
      expect(again).toEqual(rows)
      kernels.setThreads(1)
    }
  }
})

it('columns are taken in an order, and not beyond the row', () => {
  const x = Float32Array.from([1, 2, 3, 4, 5, 6])
  const y = new Float32Array(6)
  kernels.takeColumns(y, x, Int32Array.from([2, 0, 1]), 2, 3)
  expect([...y]).toEqual([3, 1, 2, 6, 4, 5])
  expect(() => kernels.takeColumns(y, x, Int32Array.from([0, 1, 3]), 2, 3)).toThrow('out of range')
  expect([...y]).toEqual([3, 1, 2, 6, 4, 5])
})
