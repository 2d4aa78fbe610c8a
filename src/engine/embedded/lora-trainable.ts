/** Training of low-rank adapters beside frozen weights (Hu et al. 2021), as PEFT does it. */
import { LabError } from '../../errors.ts'
import type { ModelConfig } from '../../model/config.ts'
import { copyTokenizer } from '../../model/folder.ts'
import {
  loraCount,
  loraKey,
  loraSizes,
  loraSpecs,
  loraTargets,
  readAdapter,
  writeAdapter,
  type LoraTarget,
} from '../../model/peft.ts'
import { rng } from '../../rng.ts'
import type { LoraRecipe, TrainJob } from '../engine.ts'
import type { Kernels } from './kernels.ts'
import type { Adapter } from './linear.ts'
import { viewer } from './merged-weights.ts'
import { buildNetwork, type AdapterPlace } from './network.ts'
import type { Trainable } from './trainable.ts'

/** The targets whose outputs one merged matrix computes, in their order. */
const placeTargets: Record<AdapterPlace, readonly LoraTarget[]> = {
  qkv: ['q_proj', 'k_proj', 'v_proj'],
  o: ['o_proj'],
  gateUp: ['gate_proj', 'up_proj'],
  down: ['down_proj'],
}

export interface LoraTraining {
  readonly config: ModelConfig
  readonly job: TrainJob
  readonly lora: LoraRecipe
  /** The model's weights, which nothing changes. */
  readonly frozen: Float32Array
}

/** Flat adapters in the order of `loraSpecs`. */
export function openLoraTrainable(k: Kernels, { config, job, lora, frozen }: LoraTraining): Trainable {
  const { start, tokenizerDir } = job
  if (start.from === 'random') throw new LabError('INTERNAL', 'adapters beside random weights')
  const { rank, alpha } = lora
  const targets = loraTargets.filter((target) => lora.targets.includes(target))
  const shape = { rank, targets }
  const specs = loraSpecs(config, shape)
  const weights = k.allocate(loraCount(config, shape))
  const gradient = k.allocate(weights.length)
  return {
    network: buildNetwork(config, {
      weights: frozen,
      gradients: null,
      adapters: adaptersOf(config, { ...lora, targets }, { weights, gradient }),
    }),
    weights,
    gradient,
    specs,
    begin: () => {
      weights.set(initialAdapters(config, { ...lora, targets }, start.seed ?? 0))
      return Promise.resolve()
    },
    write: async (folder) => {
      await writeAdapter(folder, { config, base: start.name ?? start.folder, rank, alpha, targets, weights })
      await copyTokenizer(tokenizerDir, folder)
    },
    read: async (folder) => {
      await readAdapter(folder, config, weights)
    },
  }
}

/** The adapters of each merged matrix, as views into the flat vectors. */
export function adaptersOf(
  config: ModelConfig,
  { rank, alpha, targets }: LoraRecipe,
  { weights, gradient }: { readonly weights: Float32Array; readonly gradient: Float32Array },
): (layer: number, place: AdapterPlace) => Adapter[] {
  const specs = loraSpecs(config, { rank, targets })
  const own = viewer(specs, weights)
  const back = viewer(specs, gradient)
  return (layer, place) => {
    let from = 0
    return placeTargets[place].flatMap((target) => {
      const { outputs } = loraSizes(config, target)
      const first = from
      from += outputs
      if (!targets.includes(target)) return []
      const [a, b] = [loraKey(layer, target, 'A'), loraKey(layer, target, 'B')]
      const views = { a: own(a), b: own(b), da: back(a), db: back(b) }
      return [{ from: first, outputs, rank, scale: alpha / rank, ...views }]
    })
  }
}

/**
 * What an adapter begins with: B is zero, so that nothing changes before the first step, and A is uniform within
 * ± 1 / √inputs, which is what PEFT's `kaiming_uniform_(a = √5)` comes to.
 */
export function initialAdapters(
  config: ModelConfig,
  { rank, targets }: LoraRecipe,
  seed: number,
): Float32Array {
  const specs = loraSpecs(config, { rank, targets })
  const weights = new Float32Array(loraCount(config, { rank, targets }))
  for (const { name, shape, offset, size } of specs) {
    if (!name.endsWith('.lora_A.weight')) continue
    const bound = 1 / Math.sqrt(shape[1] ?? 1)
    const random = rng(seed, 'lora', name)
    for (let i = offset; i < offset + size; i++) weights[i] = bound * (2 * random.next() - 1)
  }
  return weights
}
