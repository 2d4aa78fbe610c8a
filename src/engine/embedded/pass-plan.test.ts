/** What a pass takes: the elements that are counted are those that are allocated, and large models are computed twice, not refused. */
import { expect, it } from 'vitest'
import type { ModelConfig } from '../../model/config.ts'
import { activationElements, allocateActivations } from './activations.ts'
import { loadKernels } from './kernels.ts'
import { planPass } from './pass-plan.ts'
import { base } from './small-model.fixture.ts'

/** Elements of all arrays in a value, each array once. */
function elementsIn(value: unknown, seen: Set<unknown> = new Set()): number {
  if (typeof value !== 'object' || value === null || seen.has(value)) return 0
  seen.add(value)
  if (value instanceof Float32Array) return value.length
  return Object.values(value).reduce((sum: number, inner) => sum + elementsIn(inner, seen), 0)
}

const all = { attentionIn: true, ffnIn: true }

it('counts what it allocates', () => {
  for (const config of [base, { ...base, qkNorm: true, kvHeads: 2, layers: 3 }]) {
    for (const recompute of [false, true]) {
      for (const keeps of [all, { attentionIn: true, ffnIn: false }, { attentionIn: false, ffnIn: false }]) {
        const size = { rows: 40, rank: 6, recompute, keeps }
        const activations = allocateActivations(loadKernels(), config, size)
        expect(elementsIn(activations)).toBe(activationElements(config, size))
      }
    }
  }
})

const small: ModelConfig = { ...base, hiddenSize: 256, heads: 4, headDim: 64, ffnSize: 704, layers: 6 }
/** SmolLM2-135M and Llama-3.1-8B. */
const smol: ModelConfig = {
  ...base,
  vocabSize: 49_152,
  hiddenSize: 576,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  ffnSize: 1536,
  layers: 30,
}
const llama: ModelConfig = {
  ...base,
  vocabSize: 128_256,
  hiddenSize: 4096,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
  ffnSize: 14_336,
  layers: 32,
}

const plan = (config: ModelConfig, batch: number, contextLength: number) =>
  planPass(config, { batch, contextLength, rank: 48, keeps: all })

it('takes 2,048 rows of a small model, fewer of a larger one, and computes the layers of a large one twice', () => {
  expect(plan(small, 8, 256)).toMatchObject({ packs: 8, recompute: false })
  expect(plan(small, 64, 256)).toMatchObject({ packs: 8, recompute: false })
  expect(plan(smol, 8, 512)).toMatchObject({ packs: 2, recompute: false })
  expect(plan(smol, 8, 2048)).toMatchObject({ packs: 1, recompute: true })
  expect(plan(llama, 8, 512)).toMatchObject({ packs: 2, recompute: true })
  for (const { activationBytes } of [plan(small, 8, 256), plan(smol, 8, 512), plan(smol, 8, 2048)])
    expect(activationBytes).toBeLessThanOrEqual(2 ** 30)
})
