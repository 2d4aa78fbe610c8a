/** A model in the sampler's thread: here a folder's weights become a network. */
import { parameterCount } from '../../model/config.ts'
import type { ModelParts } from '../../model/weights-of.ts'
import type { Inference } from './inference.ts'
import type { Kernels } from './kernels.ts'
import { readMergedWeights } from './merged-weights.ts'
import { buildNetwork, type Network } from './network.ts'
import { packNetwork, type PackedNetwork } from './packed-network.ts'

export interface SampledModel {
  readonly k: Kernels
  readonly network: PackedNetwork
  /** Any of these ends a response. */
  readonly stopIds: ReadonlySet<number>
  /** What the last call allocated; the next one that fits uses it again. */
  inference: Inference | null
}

/** Throws BAD_MODEL. */
export async function loadModel(k: Kernels, parts: ModelParts): Promise<SampledModel> {
  const network = packNetwork(k, await readNetwork(k, parts))
  return { k, network, stopIds: new Set(parts.config.eosIds), inference: null }
}

/** The network of a model, or of an adapter merged into its model; nobody else holds its weights. */
async function readNetwork(k: Kernels, parts: ModelParts): Promise<Network> {
  const weights = await readMergedWeights(k, parts, k.allocate(parameterCount(parts.config)))
  return buildNetwork(parts.config, { weights, gradients: null })
}
