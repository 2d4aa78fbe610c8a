/** Seeded random streams: every source of randomness is a named stream derived from a seed, never the clock. */
import { hash } from 'node:crypto'

export interface Rng {
  /** Uniform in [0, 1), 53 bits. */
  next(): number
  /** Uniform integer in [0, n). */
  int(n: number): number
  /** Uniform integer in [lo, hi], both included. */
  between(lo: number, hi: number): number
  pick<T>(items: readonly T[]): T
  /** A new array in random order (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[]
  /** Standard normal (Box-Muller). */
  normal(): number
}

/** A stream named by its parts, e.g. `rng(seed, 'init', 'model.embed')`: xoshiro128** seeded with sha256 of the name. */
export function rng(...name: readonly (string | number)[]): Rng {
  const digest = hash('sha256', JSON.stringify(name), 'buffer')
  let a = digest.readUInt32LE(0)
  let b = digest.readUInt32LE(4)
  let c = digest.readUInt32LE(8)
  let d = digest.readUInt32LE(12) | 1

  const u32 = (): number => {
    const r = Math.imul(b, 5)
    const result = Math.imul((r << 7) | (r >>> 25), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = (d << 11) | (d >>> 21)
    return result
  }
  const next = (): number => ((u32() >>> 5) * 67_108_864 + (u32() >>> 6)) / 9_007_199_254_740_992
  const int = (n: number): number => Math.floor(next() * n)

  return {
    next,
    int,
    between: (lo, hi) => lo + int(hi - lo + 1),
    pick: <T>(items: readonly T[]): T => {
      if (items.length === 0) throw new RangeError('pick from an empty list')
      return items[int(items.length)] as T
    },
    shuffle: <T>(items: readonly T[]): T[] => {
      const out = [...items]
      for (let i = out.length - 1; i > 0; i--) {
        const j = int(i + 1)
        const x = out[i] as T
        out[i] = out[j] as T
        out[j] = x
      }
      return out
    },
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  }
}
