/** A network as sampling reads it: every matrix packed once for all products with it, the other weights as they are. */
import { LabError } from '../../errors.ts'
import type { ModelConfig } from '../../model/config.ts'
import type { Kernels } from './kernels.ts'
import type { Linear } from './linear.ts'
import type { LayerView } from './model-view.ts'
import type { Network } from './network.ts'

/** Arrays of `allocate` begin at a multiple of it. */
const LINE_BYTES = 64

export interface PackedLinear {
  readonly inputs: number
  readonly outputs: number
  readonly weight: Float32Array
}

export interface PackedLayer {
  /** Only its vectors are read. */
  readonly weights: Pick<LayerView, 'attentionGain' | 'ffnGain' | 'qkvBias' | 'qGain' | 'kGain'>
  readonly qkv: PackedLinear
  readonly o: PackedLinear
  readonly gateUp: PackedLinear
  readonly down: PackedLinear
}

export interface PackedNetwork {
  readonly config: ModelConfig
  /** [V, D] */
  readonly embedding: Float32Array
  readonly layers: readonly PackedLayer[]
  readonly finalGain: Float32Array
  readonly head: PackedLinear
}

/**
 * Packs the matrices where they lie, if they begin at a cache line, so that memory holds one copy (two of a tied embedding):
 * the network is used up.
 */
export function packNetwork(k: Kernels, network: Network): PackedNetwork {
  const { config, weights, layers, head } = network
  const all = layers.flatMap(({ qkv, o, gateUp, down }) => [qkv, o, gateUp, down])
  const own = config.tied ? all : [...all, head]
  const room = k.allocate(Math.max(...own.map(({ inputs, outputs }) => k.gemmPackedSize(outputs, inputs))))
  const { embedding, finalGain } = weights
  return {
    config,
    embedding,
    layers: layers.map((layer) => ({
      weights: layer.weights,
      qkv: packLinear(k, layer.qkv, room),
      o: packLinear(k, layer.o, room),
      gateUp: packLinear(k, layer.gateUp, room),
      down: packLinear(k, layer.down, room),
    })),
    finalGain,
    head: packLinear(k, head, config.tied ? null : room),
  }
}

/** In place by way of `room`, or beside the matrix without it. */
function packLinear(
  k: Kernels,
  { inputs, outputs, weight, adapters }: Linear,
  room: Float32Array | null,
): PackedLinear {
  if (adapters.length > 0) throw new LabError('INTERNAL', 'adapters are merged before they are sampled')
  const size = k.gemmPackedSize(outputs, inputs)
  const inPlace = room !== null && size === weight.length && weight.byteOffset % LINE_BYTES === 0
  const packed = inPlace ? room.subarray(0, size) : k.allocate(size)
  k.gemmPack(packed, weight, outputs, inputs, inputs, 1)
  if (inPlace) weight.set(packed)
  return { inputs, outputs, weight: inPlace ? weight : packed }
}

/** y [rows, outputs] = x Wᵀ, or += where `accumulate`. */
export function applyLinear(
  k: Kernels,
  { inputs, outputs, weight }: PackedLinear,
  { y, x, rows, accumulate = 0 }: ApplyLinear,
): void {
  k.gemmPacked(y, x, weight, rows, outputs, inputs, outputs, inputs, accumulate)
}

interface ApplyLinear {
  readonly y: Float32Array
  readonly x: Float32Array
  readonly rows: number
  readonly accumulate?: 0 | 1
}
