/** Attention over a cache against attention over whole documents: the same bits, however a document is cut into runs. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rng } from '../../rng.ts'
import { loadKernels } from './kernels.ts'

const k = loadKernels()

interface Heads {
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
}
const strideOf = ({ heads, kvHeads, headDim }: Heads): number => (heads + 2 * kvHeads) * headDim

function randomRows(heads: Heads, rows: number): Float32Array {
  const stream = rng('cached attention', rows)
  return Float32Array.from({ length: rows * strideOf(heads) }, () => 2 * stream.normal())
}

/** Every document at once. */
function whole({ heads, kvHeads, headDim }: Heads, qkv: Float32Array, starts: Int32Array): Float32Array {
  const o = new Float32Array((starts.at(-1) ?? 0) * heads * headDim)
  k.attention(o, null, qkv, starts, starts.length - 1, heads, kvHeads, headDim)
  return o
}

/** Document d in slot slots[d], all of them fed in steps of cuts[s] rows each; the cache holds garbage at first. */
function inSteps(
  shape: Heads,
  qkv: Float32Array,
  { starts, slots, cuts }: { starts: Int32Array; slots: readonly number[]; cuts: readonly number[] },
): Float32Array {
  const { heads, kvHeads, headDim } = shape
  const stride = strideOf(shape)
  const width = heads * headDim
  const slotCount = Math.max(...slots) + 1
  const longest = Math.max(...slots.map((_, d) => (starts[d + 1] ?? 0) - (starts[d] ?? 0)))
  const capacity = Math.ceil(longest / 16) * 16
  const keys = new Float32Array(slotCount * capacity * kvHeads * headDim).fill(NaN)
  const values = keys.slice()
  const o = new Float32Array((starts.at(-1) ?? 0) * width)
  const fed = slots.map(() => 0)
  for (let step = 0; fed.some((n, d) => n < (starts[d + 1] ?? 0) - (starts[d] ?? 0)); step++) {
    const runs = slots.keys().flatMap((d) => {
      const from = (starts[d] ?? 0) + (fed[d] ?? 0)
      const count = Math.min(cuts[step % cuts.length] ?? 1, (starts[d + 1] ?? 0) - from)
      return count > 0 ? [{ d, from, count }] : []
    })
    const all = [...runs]
    const rows = Float32Array.from(
      all.flatMap(({ from, count }) => [...qkv.subarray(from * stride, (from + count) * stride)]),
    )
    const runStarts = Int32Array.of(
      0,
      ...all.map((_, i) => all.slice(0, i + 1).reduce((n, r) => n + r.count, 0)),
    )
    const out = new Float32Array((runStarts.at(-1) ?? 0) * width)
    const runSlots = Int32Array.from(all, ({ d }) => slots[d] ?? 0)
    const pasts = Int32Array.from(all, ({ d }) => fed[d] ?? 0)
    k.cachedAttention(
      out,
      rows,
      keys,
      values,
      runStarts,
      runSlots,
      pasts,
      all.length,
      heads,
      kvHeads,
      headDim,
      slotCount,
      capacity,
    )
    for (const [i, { d, from, count }] of all.entries()) {
      const at = (runStarts[i] ?? 0) * width
      o.set(out.subarray(at, at + count * width), from * width)
      fed[d] = (fed[d] ?? 0) + count
    }
  }
  return o
}

describe('attention over a cache has the bits of attention over whole documents', () => {
  it.each<[Heads]>([
    [{ heads: 4, kvHeads: 2, headDim: 32 }],
    [{ heads: 3, kvHeads: 3, headDim: 6 }],
    [{ heads: 9, kvHeads: 3, headDim: 64 }],
    [{ heads: 5, kvHeads: 1, headDim: 16 }],
    [{ heads: 2, kvHeads: 1, headDim: 128 }],
    [{ heads: 2, kvHeads: 2, headDim: 40 }],
  ])('%o', (shape) => {
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 })
    const lengths = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(lengths, cuts, fc.integer({ min: 1, max: 3 }), (each, steps, threads) => {
        k.setThreads(threads)
        const starts = Int32Array.of(0, ...each.map((_, i) => each.slice(0, i + 1).reduce((a, b) => a + b)))
        const qkv = randomRows(shape, starts.at(-1) ?? 0)
        const slots = each.map((_, d) => each.length - 1 - d)
        expect(inSteps(shape, qkv, { starts, slots, cuts: steps })).toEqual(whole(shape, qkv, starts))
      }),
      { numRuns: 15 },
    )
    k.setThreads(1)
  })

  it('and a prefix that was copied from another slot', () => {
    const shape = { heads: 4, kvHeads: 2, headDim: 24 }
    const { heads, kvHeads, headDim } = shape
    const [stride, width, capacity] = [strideOf(shape), heads * headDim, 48]
    const qkv = randomRows(shape, 40)
    const keys = new Float32Array(3 * capacity * kvHeads * headDim)
    const values = keys.slice()
    const step = (o: Float32Array, from: number, to: number, slot: number): void =>
      k.cachedAttention(
        o,
        qkv.subarray(from * stride),
        keys,
        values,
        Int32Array.of(0, to - from),
        Int32Array.of(slot),
        Int32Array.of(from),
        1,
        heads,
        kvHeads,
        headDim,
        3,
        capacity,
      )
    step(new Float32Array(21 * width), 0, 21, 1)
    k.cacheSpread(keys, values, 1, 21, kvHeads, headDim, 3, capacity)
    const expected = whole(shape, qkv, Int32Array.of(0, 40)).subarray(21 * width)
    for (const slot of [2, 0, 1]) {
      const o = new Float32Array(19 * width)
      step(o, 21, 40, slot)
      expect(o).toEqual(expected)
    }
  })
})

it('refuses what does not fit, and writes nothing', () => {
  const o = new Float32Array(12)
  const call = (change: Partial<Record<'starts' | 'slots' | 'pasts', number[]>>, capacity = 16): void => {
    const { starts, slots, pasts } = { starts: [0, 2, 3], slots: [0, 1], pasts: [14, 0], ...change }
    const cache = new Float32Array(2 * 16 * 4)
    const qkv = new Float32Array(36).fill(1)
    const [s, t, u] = [starts, slots, pasts].map((values) => Int32Array.from(values))
    k.cachedAttention(o, qkv, cache, cache.slice(), s!, t!, u!, 2, 1, 1, 4, 2, capacity)
  }
  expect(() => call({ slots: [1, 1] })).toThrow('cachedAttention: two runs share a slot')
  expect(() => call({ slots: [0, 2] })).toThrow('a token is outside the cache')
  expect(() => call({ pasts: [15, 0] })).toThrow('a token is outside the cache')
  expect(() => call({ starts: [0, 2, 1] })).toThrow('runs do not follow each other')
  expect(() => call({ starts: [0, 2, 4] })).toThrow('an array is too short')
  expect(() => call({}, 15)).toThrow('the capacity of a slot is not a multiple of 16')
  expect(o).toEqual(new Float32Array(12))
  call({})
  // Values are all 1; those that the first slot is said to hold were never written, and are 0.
  expect([...o.subarray(8)]).toEqual([1, 1, 1, 1])
})
