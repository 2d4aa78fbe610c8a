/** Keys and values of the sequences at hand: slots of one capacity, in every layer. */
import type { ModelConfig } from '../../model/config.ts'
import type { Kernels } from './kernels.ts'

/** The kernel reads keys in blocks of so many positions. */
const BLOCK = 16
/** More slots than this give no more tokens a second (`node bench/sample.ts`). */
export const MAX_SLOTS = 64
/** A cache of more than one slot has at most so many elements (512 MB). */
const MAX_ELEMENTS = 2 ** 27

export interface CacheShape {
  readonly slots: number
  /** Positions of a slot. */
  readonly capacity: number
}

export interface CacheNeed {
  readonly sequences: number
  /** Tokens of the longest one that go into the cache. */
  readonly positions: number
}

export interface KvCache extends CacheShape {
  readonly layers: readonly { readonly keys: Float32Array; readonly values: Float32Array }[]
}

/** As many slots as `sequences` of up to `positions` can use and the limits allow. */
export function cacheShape(
  { layers, kvHeads, headDim }: ModelConfig,
  { sequences, positions }: CacheNeed,
): CacheShape {
  const capacity = Math.ceil(positions / BLOCK) * BLOCK
  const elements = 2 * layers * kvHeads * headDim * capacity
  const slots = Math.max(1, Math.min(sequences, MAX_SLOTS, Math.floor(MAX_ELEMENTS / elements)))
  return { slots, capacity }
}

export function allocateCache(k: Kernels, config: ModelConfig, { slots, capacity }: CacheShape): KvCache {
  const size = slots * capacity * config.kvHeads * config.headDim
  const layers = Array.from({ length: config.layers }, () => ({
    keys: k.allocate(size),
    values: k.allocate(size),
  }))
  return { slots, capacity, layers }
}

/** Copies the first `positions` of slot 0 into the first `slots` slots. */
export function spreadPrefix(
  k: Kernels,
  { kvHeads, headDim }: ModelConfig,
  cache: KvCache,
  { positions, slots }: { readonly positions: number; readonly slots: number },
): void {
  for (const { keys, values } of cache.layers)
    k.cacheSpread(keys, values, 0, positions, kvHeads, headDim, slots, cache.capacity)
}
