/** Adapters on adapters as one: the same model. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parameterCount } from '../../model/config.ts'
import { writeModelFolder } from '../../model/folder.ts'
import { loraCount, type LoraShape, writeAdapter } from '../../model/peft.ts'
import { partsOf } from '../../model/weights-of.ts'
import { rng } from '../../rng.ts'
import { loadKernels } from '../embedded/kernels.ts'
import { readMergedWeights } from '../embedded/merged-weights.ts'
import { randomWeights, tinyConfig as config } from '../embedded/random-model.fixture.ts'
import { stackedRank, writeStackedAdapter } from './stacked-adapters.ts'

const dir = mkdtempSync(join(tmpdir(), 'stacked-'))
afterAll(() => rmSync(dir, { recursive: true }))

async function adapt(name: string, base: string, shape: LoraShape & { alpha: number }): Promise<string> {
  const random = rng(1, name)
  const weights = Float32Array.from({ length: loraCount(config, shape) }, () => random.next() - 0.5)
  await writeAdapter(join(dir, name), { config, ...shape, weights, base })
  return join(dir, name)
}

const merged = async (folder: string): Promise<Float32Array> =>
  readMergedWeights(loadKernels(), await partsOf(folder), new Float32Array(parameterCount(config)))

test('a stack has the weights of its adapters, of other ranks, scales, targets and layers', async () => {
  await writeModelFolder(join(dir, 'model'), {
    config,
    weights: randomWeights(config),
    tokenizerDir: join(dir, 'model'),
  })
  await adapt('lower', '../model', { rank: 3, alpha: 6, targets: ['q_proj', 'down_proj'], layers: [0] })
  const upper = await adapt('upper', '../lower', { rank: 2, alpha: 1, targets: ['v_proj', 'q_proj'] })
  const parts = await partsOf(upper)
  expect(await stackedRank(parts)).toBe(5)
  const stack = join(dir, 'stack')
  await writeStackedAdapter(stack, parts)
  const [one, both] = [await merged(stack), await merged(upper)]
  expect((await partsOf(stack)).adapters).toEqual([stack])
  expect(Math.max(...one.map((value, i) => Math.abs(value - (both[i] ?? Number.NaN))))).toBeLessThan(1e-6)
  const lowest = await merged(join(dir, 'model'))
  expect(Math.max(...one.map((value, i) => Math.abs(value - (lowest[i] ?? Number.NaN))))).toBeGreaterThan(0.1)
})
