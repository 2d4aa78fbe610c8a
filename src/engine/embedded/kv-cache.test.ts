/** The cache keeps what was written, also after rows are dropped. */
import { expect, test } from 'vitest'
import { KvCache } from './kv-cache.ts'
import { tinyConfig } from './random-model.fixture.ts'

const config = { ...tinyConfig, layers: 1, kvHeads: 1, headDim: 2 }

/** Writes `slots` slots whose numbers say slot and row: 10·slot + row + half for the second element. */
function write(cache: KvCache, slots: number): void {
  const from = cache.length
  const { 'keys.0': keys } = cache.append(slots)
  const data = keys!.data as Float32Array
  for (let i = 0; i < data.length; i++) {
    const row = Math.floor(i / 2) % cache.batch
    const slot = from + Math.floor(i / 2 / cache.batch)
    data[i] = 10 * slot + row + (i % 2) / 2
  }
}
const pastKeys = (cache: KvCache): number[] => [...(cache.past()['past_keys.0']!.data as Float32Array)]

test('slots that were appended are the past of the next step', () => {
  const cache = new KvCache(config)
  cache.reset(2, 3)
  write(cache, 2)
  write(cache, 1)
  expect(cache.length).toBe(3)
  expect(cache.past()['past_keys.0']!.dims).toEqual([3, 2, 1, 1, 2])
  expect(pastKeys(cache)).toEqual([0, 0.5, 1, 1.5, 10, 10.5, 11, 11.5, 20, 20.5, 21, 21.5])
})

test('keeping rows moves their slots together, and new slots follow', () => {
  const cache = new KvCache(config)
  cache.reset(5, 3)
  write(cache, 2)
  cache.keep([1, 2, 4])
  expect(cache.batch).toBe(3)
  expect(pastKeys(cache)).toEqual([1, 1.5, 2, 2.5, 4, 4.5, 11, 11.5, 12, 12.5, 14, 14.5])
  write(cache, 1)
  expect(pastKeys(cache).slice(12)).toEqual([20, 20.5, 21, 21.5, 22, 22.5])
})

test('a smaller batch uses the memory of a larger one again', () => {
  const cache = new KvCache(config)
  cache.reset(4, 8)
  const { buffer } = cache.append(1)['keys.0']!.data as Float32Array
  cache.reset(2, 3)
  expect(cache.length).toBe(0)
  expect((cache.append(1)['keys.0']!.data as Float32Array).buffer).toBe(buffer)
})
