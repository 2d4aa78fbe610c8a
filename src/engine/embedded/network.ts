/** What a training computes with: each linear layer of the model with its gradient or its adapters, and the other gradients. */
import type { ModelConfig } from '../../model/config.ts'
import type { KeptInputs } from './activations.ts'
import { stackAdapters, type Adapter, type Linear } from './linear.ts'
import { type LayerView, type ModelView, viewModel } from './model-view.ts'

export interface NetworkLayer {
  readonly weights: LayerView
  /** Null if the model is frozen. */
  readonly gradients: LayerView | null
  readonly qkv: Linear
  readonly o: Linear
  readonly gateUp: Linear
  readonly down: Linear
}

export interface Network {
  readonly config: ModelConfig
  readonly weights: ModelView
  readonly gradients: ModelView | null
  readonly layers: readonly NetworkLayer[]
  readonly head: Linear
  /** The largest rank of the adapters of one layer together; 0 if there are none. */
  readonly rank: number
  /** What the trained matrices read. */
  readonly keeps: KeptInputs
}

/** The linear layers that adapters stand beside, by the name of the merged matrix. */
export type AdapterPlace = 'qkv' | 'o' | 'gateUp' | 'down'
type AdaptersOf = (layer: number, place: AdapterPlace) => readonly Adapter[]

const noAdapters: AdaptersOf = () => []

/** The matrix or adapters beside it. */
const isTrained = ({ gradient, stack }: Linear): boolean => gradient !== null || stack !== null

/** `gradients` is as long as `weights`, or null where only adapters are trained. */
export function buildNetwork(
  config: ModelConfig,
  {
    weights,
    gradients,
    adapters = noAdapters,
  }: {
    readonly weights: Float32Array
    readonly gradients: Float32Array | null
    readonly adapters?: AdaptersOf
  },
): Network {
  const { hiddenSize, heads, kvHeads, headDim, ffnSize, vocabSize } = config
  const own = viewModel(config, weights)
  const back = gradients === null ? null : viewModel(config, gradients)
  const sizes: Record<AdapterPlace, { readonly inputs: number; readonly outputs: number }> = {
    qkv: { inputs: hiddenSize, outputs: (heads + 2 * kvHeads) * headDim },
    o: { inputs: heads * headDim, outputs: hiddenSize },
    gateUp: { inputs: hiddenSize, outputs: 2 * ffnSize },
    down: { inputs: ffnSize, outputs: hiddenSize },
  }
  let rank = 0
  const linear = (l: number, place: AdapterPlace): Linear => {
    const beside = adapters(l, place)
    const stack = stackAdapters(beside)
    rank = Math.max(rank, stack?.rank ?? 0)
    const weight = (own.layers[l] as LayerView)[place]
    return { ...sizes[place], weight, gradient: back?.layers[l]?.[place] ?? null, adapters: beside, stack }
  }
  const layers = own.layers.map((layerWeights, l) => ({
    weights: layerWeights,
    gradients: back?.layers[l] ?? null,
    qkv: linear(l, 'qkv'),
    o: linear(l, 'o'),
    gateUp: linear(l, 'gateUp'),
    down: linear(l, 'down'),
  }))
  const head: Linear = {
    inputs: hiddenSize,
    outputs: vocabSize,
    weight: own.head,
    gradient: back?.head ?? null,
    adapters: [],
    stack: null,
  }
  const keeps = {
    attentionIn: layers.some(({ qkv }) => isTrained(qkv)),
    ffnIn: layers.some(({ gateUp }) => isTrained(gateUp)),
  }
  return { config, weights: own, gradients: back, layers, head, rank, keeps }
}
