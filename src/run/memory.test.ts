/** Trainings that cannot fit are refused with the numbers, before anything of theirs exists. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RunEvent } from './events.ts'
import { tinyConfig } from '../engine/embedded/random-model.fixture.ts'
import { configToJson } from '../model/config-json.ts'
import { availableMemory, checkSamples, gigabytes } from './memory.ts'
import { planRun } from './plan-run.ts'
import { runExperiment } from './run.ts'

const spec = resolve(import.meta.dirname, '../../examples/smoke.yaml')
const huge = ['hidden: 8192', 'layers: 256', 'heads: 64', 'kv_heads: 8', 'ffn: 32768'].join(', ')

let store = ''
beforeAll(async () => {
  store = await mkdtemp(join(tmpdir(), 'memory-'))
})
afterAll(() => rm(store, { recursive: true }))

test('a plan shows what trainings and evaluations take, and which takes the most', async () => {
  const { memory, stages } = await planRun({ spec, set: [], store })
  for (const { kind, title, memoryBytes } of stages) {
    if (kind === 'train' || kind === 'evaluate') expect(memoryBytes, title).toBeGreaterThan(1e6)
    else expect(memoryBytes, title).toBe(null)
  }
  expect(stages.filter(({ kind }) => kind === 'evaluate').length).toBeGreaterThan(0)
  expect(memory?.neededBytes).toBe(Math.max(...stages.map(({ memoryBytes }) => memoryBytes ?? 0)))
  expect(memory?.availableBytes).toBeGreaterThan(memory?.neededBytes ?? Infinity)
})

test('a run that cannot fit says how much is needed, how much there is and what takes it', async () => {
  const set = [`bases.tiny.architecture={ ${huge} }`]
  const events: RunEvent[] = []
  const error = await runExperiment({
    spec,
    set,
    store,
    signal: new AbortController().signal,
    emit: (event) => events.push(event),
  }).catch((e: unknown) => e)
  expect(error).toMatchObject({
    code: 'BAD_INPUT',
    message: expect.stringMatching(
      /^pretrain tiny needs about \d+\.\d GB of memory \(\d+\.\d GB of weights, \d+\.\dM in float32, \d+\.\d GB of gradients, optimizer state and activations\), but \d+\.\d GB are available$/,
    ),
  })
  // It was told before, and nothing was done.
  expect(events.map(({ type }) => type)).toEqual(['plan'])
  expect(existsSync(join(store, 'claims'))).toBe(false)
  const { memory } = await planRun({ spec, set, store })
  expect(memory?.neededBytes).toBeGreaterThan(memory?.availableBytes ?? 0)
})

test('a model whose weights do not fit is not sampled', async () => {
  const folder = join(store, 'model')
  await mkdir(folder)
  await writeFile(join(folder, 'config.json'), JSON.stringify(configToJson(tinyConfig)))
  await checkSamples(folder)
  await expect(checkSamples(folder, 1e6)).rejects.toThrow(
    /^.*model needs about 0\.2 GB of memory \(1 MB of weights, 0\.0M in float32, 0\.2 GB of packed copies, keys and values\), but 1 MB are available$/,
  )
})

test('amounts are in units that people read', () => {
  expect([1, 45_400_000, 123_456_789, 61e9].map(gigabytes)).toEqual(['1 MB', '45 MB', '0.1 GB', '61.0 GB'])
  expect(availableMemory()).toBeGreaterThan(1e6)
})
