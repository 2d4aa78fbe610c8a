/** In bfloat16 rounding decides close draws: a response must not depend on what else is asked at the time. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  randomPrompts,
  tinyConfig,
  writeRandomModel,
} from '../../src/engine/embedded/random-model.fixture.ts'
import type { GenerateRequest, Sampler } from '../../src/engine/engine.ts'
import { wantedVersions } from '../../src/engine/torch/environment.ts'
import { Lane } from '../../src/engine/torch/lane.ts'
import { createTorchSamplerHost } from '../../src/engine/torch/sampler.ts'
import { testSettings } from '../../src/engine/torch/settings.fixture.ts'
import { missingTorch } from './python.ts'

const config = {
  ...tinyConfig,
  vocabSize: 300,
  hiddenSize: 64,
  heads: 4,
  headDim: 16,
  ffnSize: 128,
  maxPositions: 128,
}
const ask = (id: string, prompt: number[], temperature: number): GenerateRequest => {
  return { id, prompt, maxTokens: 24, temperature, topP: 1, seed: 7 }
}
const missing = await missingTorch()

describe.skipIf(missing !== null)('responses in bfloat16', () => {
  const folder = mkdtempSync(join(tmpdir(), 'torch-batches-'))
  const lane = new Lane()
  const context = { signal: new AbortController().signal }
  let sampler: Sampler
  let requests: GenerateRequest[]

  beforeAll(async () => {
    const model = await writeRandomModel(folder, 'model', config)
    const settings = testSettings({ dtype: 'bfloat16' })
    const versions = wantedVersions()
    sampler = await createTorchSamplerHost({ settings, launch: null, versions, lane, logs: folder }).open(
      model,
    )
    requests = randomPrompts(config, 96, [4, 60]).map((prompt, i) => ask(`r${i}`, prompt, i % 2))
  })
  afterAll(async () => {
    await sampler.close()
    await lane.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('are the same bytes whatever else is asked before, beside and after', async () => {
    const alone = await sampler.generate(requests, context)
    // Those of another evaluation are longer: with them come more padding and other kernels.
    const others = randomPrompts(config, 40, [70, 100]).map((prompt, i) => ask(`other ${i}`, prompt, 1))
    const before = sampler.generate(others.slice(0, 7), context)
    const beside = sampler.generate(requests, context)
    const after = sampler.generate(others.slice(7), context)
    expect(await beside).toEqual(alone)
    await Promise.all([before, after])
  })

  test('depend in their last bits on the companions that a call gives them', async () => {
    const alone = await sampler.generate(requests, context)
    const single = []
    for (const request of requests) single.push(...(await sampler.generate([request], context)))
    // Were they alike here, the test above could not fail.
    expect(single).not.toEqual(alone)
  })
})
