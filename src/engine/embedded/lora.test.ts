/** Adapters: gradients against float64 finite differences, the same bits however computed, and merging that changes nothing. */
import { describe, expect, it } from 'vitest'
import { parameterSpecs, type ModelConfig } from '../../model/config.ts'
import {
  loraCount,
  loraKey,
  loraModule,
  loraSizes,
  loraSpecs,
  loraTargets,
  type LoraTarget,
} from '../../model/peft.ts'
import { rng } from '../../rng.ts'
import type { LoraRecipe } from '../engine.ts'
import type { Pack } from '../packs.ts'
import { documentsOf, referenceLoss } from './llama-reference.ts'
import { loadKernels } from './kernels.ts'
import { adaptersOf, initialAdapters } from './lora-trainable.ts'
import { mergeAdapter, viewer } from './merged-weights.ts'
import { buildNetwork } from './network.ts'
import { base, packsOf, weightsOf } from './small-model.fixture.ts'
import { tokenRows } from './token-rows.ts'
import { lossAndGradients, openPass } from './transformer.ts'

const kernels = loadKernels()
const whole: LoraRecipe = { rank: 3, alpha: 5, targets: loraTargets }
const some: LoraRecipe = { rank: 2, alpha: 2, targets: ['q_proj', 'v_proj', 'up_proj'] }

/** A and B of a size that matters; neither is zero. */
function adapterOf(config: ModelConfig, lora: LoraRecipe): Float32Array {
  const random = rng(7, 'test adapters')
  return Float32Array.from({ length: loraCount(config, lora) }, () => 0.3 * random.normal())
}

interface Options {
  readonly threads?: number
  readonly each?: number
  readonly recompute?: boolean
}

/** Loss and flat gradient of the adapters. */
function lossAndGradient(
  config: ModelConfig,
  lora: LoraRecipe,
  { weights, adapter }: { readonly weights: Float32Array; readonly adapter: Float32Array },
  packs: readonly Pack[],
  { threads = 1, each = packs.length, recompute = false }: Options = {},
): { loss: number; gradient: Float32Array } {
  kernels.setThreads(threads)
  const gradient = new Float32Array(adapter.length).fill(7)
  const network = buildNetwork(config, {
    weights,
    gradients: null,
    adapters: adaptersOf(config, lora, { weights: adapter, gradient }),
  })
  const all = tokenRows(packs)
  const pass = openPass(kernels, network, {
    rows: all.ids.length,
    contextLength: (packs[0] as Pack).tokens.length,
    recompute,
  })
  const weight = 1 / all.scored.length
  const batches = Array.from({ length: Math.ceil(packs.length / each) }, (_, i) =>
    tokenRows(packs.slice(i * each, (i + 1) * each)),
  )
  return { loss: lossAndGradients(pass, batches, weight) * weight, gradient }
}

/** The model's weights with the adapters merged, in float64. */
function mergedExactly(
  config: ModelConfig,
  { rank, alpha, targets }: LoraRecipe,
  weights: Float32Array,
  adapter: Float64Array<ArrayBuffer>,
): Float64Array<ArrayBuffer> {
  const merged = Float64Array.from(weights)
  const places = new Map(parameterSpecs(config).map(({ name, offset }) => [name, offset]))
  const factors = new Map(loraSpecs(config, { rank, targets }).map(({ name, offset }) => [name, offset]))
  const merge = (layer: number, target: LoraTarget): void => {
    const { outputs, inputs } = loraSizes(config, target)
    const w = places.get(`${loraModule(layer, target)}.weight`)!
    const a = factors.get(loraKey(layer, target, 'A'))!
    const b = factors.get(loraKey(layer, target, 'B'))!
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < inputs; i++) {
        for (let r = 0; r < rank; r++)
          merged[w + o * inputs + i]! +=
            (alpha / rank) * adapter[b + o * rank + r]! * adapter[a + r * inputs + i]!
      }
    }
  }
  for (let layer = 0; layer < config.layers; layer++) for (const target of targets) merge(layer, target)
  return merged
}

const grouped: ModelConfig = { ...base, kvHeads: 2 }
const packed = packsOf([[4, 3, 2], [9], [5]], 9, 3)

describe('gradients of A and B agree with float64 finite differences to 1e-5', () => {
  const cases: [string, ModelConfig, LoraRecipe][] = [
    ['all targets', grouped, whole],
    ['some targets', { ...grouped, tied: false }, some],
    ['biases and norms of heads', { ...grouped, qkvBias: true, qkNorm: true }, whole],
    ['one target', grouped, { rank: 1, alpha: 4, targets: ['down_proj'] }],
    ['no feed-forward', grouped, { rank: 2, alpha: 4, targets: ['q_proj', 'o_proj'] }],
    ['nothing below o', grouped, { rank: 2, alpha: 4, targets: ['o_proj'] }],
  ]
  for (const [name, config, lora] of cases) {
    it(name, () => {
      const weights = weightsOf(config)
      const adapter = adapterOf(config, lora)
      const { loss, gradient } = lossAndGradient(config, lora, { weights, adapter }, packed)
      const exact = Float64Array.from(adapter)
      const documents = documentsOf(packed)
      const lossOf = (values: Float64Array<ArrayBuffer>): number =>
        referenceLoss(config, mergedExactly(config, lora, weights, values), documents)
      expect(Math.abs(loss / lossOf(exact) - 1)).toBeLessThan(1e-6)
      const h = 1e-5
      for (const { name: tensor, offset, size } of loraSpecs(config, lora)) {
        const random = rng(3, tensor)
        const own = gradient.subarray(offset, offset + size)
        const direction = Array.from({ length: size }, () => random.normal())
        const length = Math.hypot(...direction)
        const lossAt = (distance: number): number => {
          const moved = exact.slice()
          for (const [i, u] of direction.entries()) moved[offset + i]! += (distance * u) / length
          return lossOf(moved)
        }
        const slope = (lossAt(h) - lossAt(-h)) / (2 * h)
        const along = direction.reduce((sum, u, i) => sum + (u / length) * own[i]!, 0)
        expect(Math.hypot(...own), tensor).toBeGreaterThan(1e-5)
        expect(Math.abs(slope - along) / Math.hypot(...own), tensor).toBeLessThan(1e-5)
        for (const index of [0, size >> 1, size - 1]) {
          const lossWith = (distance: number): number => {
            const moved = exact.slice()
            moved[offset + index]! += distance
            return lossOf(moved)
          }
          const difference = (lossWith(h) - lossWith(-h)) / (2 * h)
          expect(Math.abs(difference - own[index]!) / Math.hypot(...own), tensor).toBeLessThan(1e-5)
        }
      }
    })
  }
})

describe('adapters', () => {
  const long = packsOf([[150, 20], [111], [3, 4, 5], [100]], 180, 40)
  const wide: ModelConfig = { ...grouped, hiddenSize: 40, headDim: 18, ffnSize: 50, vocabSize: 70 }

  it('give the same bits with any number of threads, and of packs at a time', () => {
    for (const config of [wide, { ...grouped, qkNorm: true, tied: false }]) {
      const own = { weights: weightsOf(config), adapter: adapterOf(config, whole) }
      const alone = lossAndGradient(config, whole, own, long)
      for (const threads of [2, 3, 7])
        expect(lossAndGradient(config, whole, own, long, { threads })).toEqual(alone)
      expect(lossAndGradient(config, whole, own, long, { each: 3, recompute: true })).toEqual(alone)
      for (const each of [1, 2, 3]) expect(lossAndGradient(config, whole, own, long, { each })).toEqual(alone)
    }
  })

  it('merged or beside the weights give log-probabilities that agree to 1e-5', () => {
    const config = wide
    const weights = weightsOf(config)
    const adapter = adapterOf(config, whole)
    const merged = weights.slice()
    const { rank, alpha } = whole
    const layers = [...Array(config.layers).keys()]
    mergeAdapter(kernels, config, merged, {
      rank,
      alpha,
      scale: alpha / rank,
      targets: whole.targets,
      layers,
      weights: adapter,
    })
    const none: LoraRecipe = { ...whole, targets: [] }
    const tokens = Int32Array.from(long[0]!.tokens.subarray(0, 60))
    let worst = 0
    for (let target = 0; target < config.vocabSize; target++) {
      const targets = new Int32Array(60).fill(-1)
      targets[59] = target
      const pack: Pack = { tokens, documents: new Int32Array(60), targets }
      const beside = lossAndGradient(config, whole, { weights, adapter }, [pack]).loss
      const inside = lossAndGradient(config, none, { weights: merged, adapter: new Float32Array(0) }, [
        pack,
      ]).loss
      worst = Math.max(worst, Math.abs(beside - inside))
    }
    expect(worst).toBeLessThan(1e-5)
  })

  it('begin with a B of zero, and an A within 1 / √inputs that the seed and the name decide', () => {
    const adapter = initialAdapters(wide, whole, 1)
    const of = viewer(loraSpecs(wide, whole), adapter)
    expect(of(loraKey(1, 'v_proj', 'B')).every((x) => x === 0)).toBe(true)
    for (const [target, inputs] of [
      ['q_proj', 40],
      ['down_proj', 50],
    ] as const) {
      const a = of(loraKey(0, target, 'A'))
      const largest = Math.max(...a.map(Math.abs))
      expect(largest).toBeLessThanOrEqual(1 / Math.sqrt(inputs))
      expect(largest).toBeGreaterThan(0.9 / Math.sqrt(inputs))
      expect(Math.abs(a.reduce((sum, x) => sum + x, 0) / a.length)).toBeLessThan(0.03)
    }
    expect(initialAdapters(wide, whole, 1)).toEqual(adapter)
    expect(initialAdapters(wide, whole, 2)).not.toEqual(adapter)
    // The adapter of a layer does not depend on which other layers have one.
    const alone = viewer(
      loraSpecs(wide, { ...whole, targets: ['v_proj'] }),
      initialAdapters(wide, { ...whole, targets: ['v_proj'] }, 1),
    )
    expect(alone(loraKey(1, 'v_proj', 'A'))).toEqual(of(loraKey(1, 'v_proj', 'A')))
  })
})
