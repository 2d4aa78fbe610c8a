/** The memory of one forward and backward pass: what each layer keeps for the way back, and scratch that all layers share. */
import type { ModelConfig } from '../../model/config.ts'
import type { Kernels } from './kernels.ts'
import type { AdapterScratch } from './linear.ts'

/** Kept by a layer. Shapes: N rows, D width, F feed-forward width, H heads, K key heads, h width of a head. */
export interface LayerActivations {
  /** [N, D] the stream as it comes in */
  readonly x: Float32Array
  /** [N, D] normalised with gain */
  readonly attentionIn: Float32Array
  readonly attentionInverse: Float32Array
  /** [N, (H + 2K)·h] after rotation */
  readonly qkv: Float32Array
  /** [N, (H + 2K)·h] before the norm of heads, and 1 / root mean square of each; null without such norms */
  readonly rawQkv: Float32Array | null
  readonly qInverse: Float32Array | null
  readonly kInverse: Float32Array | null
  /** [N, H] */
  readonly logSum: Float32Array
  /** [N, H·h] */
  readonly mixed: Float32Array
  /** [N, D] the stream between attention and feed-forward */
  readonly middle: Float32Array
  readonly ffnIn: Float32Array
  readonly ffnInverse: Float32Array
  /** [N, 2F] */
  readonly gateUp: Float32Array
}

export interface Activations {
  readonly rows: number
  readonly layers: readonly LayerActivations[]
  /** Layers keep their `x` alone and share the rest, which is computed again on the way back. */
  readonly recompute: boolean
  /** [N, D] the gradient of the stream */
  readonly dx: Float32Array
  /** [N, D] */
  readonly dIn: Float32Array
  /** [N, F] */
  readonly hidden: Float32Array
  /** [N, (H + 2K)·h] */
  readonly dqkv: Float32Array
  /** [N, H·h] */
  readonly dMixed: Float32Array
  /** [N, H·h] `mixed` of the last layer, the scored rows */
  readonly mixedScored: Float32Array
  /** [N, D] the stream after the last layer, the scored rows: as it is, normalised */
  readonly scored: Float32Array
  readonly scoredIn: Float32Array
  readonly scoredInverse: Float32Array
  readonly nll: Float32Array
  /** [logitRows, V] */
  readonly logits: Float32Array
  readonly logitRows: number
  readonly adapter: AdapterScratch
}

/** Elements of logits that are computed at once: scored rows go through the head in runs of so many. */
const LOGITS = 1 << 21

function logitRowsOf(config: ModelConfig, rows: number): number {
  return Math.max(1, Math.min(rows, Math.floor(LOGITS / config.vocabSize)))
}

/** Elements of one layer's activations a row. */
function layerElements(config: ModelConfig): number {
  const { hiddenSize: D, heads, kvHeads, headDim, ffnSize } = config
  const qkv = (heads + 2 * kvHeads) * headDim
  const norms = config.qkNorm ? qkv + heads + kvHeads : 0
  return 4 * D + 2 + qkv + norms + heads + heads * headDim + 2 * ffnSize
}

/** Elements that all layers share, a row, without logits. */
function sharedElements(config: ModelConfig, rank: number): number {
  const { hiddenSize: D, heads, kvHeads, headDim, ffnSize } = config
  return 4 * D + 2 + ffnSize + (heads + 2 * kvHeads) * headDim + 2 * heads * headDim + 2 * rank
}

/** Whether the inputs of the merged matrices are kept: a frozen matrix without adapters needs none on the way back. */
export interface KeptInputs {
  readonly attentionIn: boolean
  readonly ffnIn: boolean
}

export interface ActivationSize {
  readonly rows: number
  /** Of the adapters of one layer together. */
  readonly rank: number
  readonly recompute: boolean
  readonly keeps: KeptInputs
}

/** Elements that `allocateActivations` takes. */
export function activationElements(
  config: ModelConfig,
  { rows, rank, recompute, keeps }: ActivationSize,
): number {
  const { layers, hiddenSize, vocabSize } = config
  const own = layerElements(config)
  const spared = hiddenSize * (Number(!keeps.attentionIn) + Number(!keeps.ffnIn))
  const kept = own + (layers - 1) * (recompute ? hiddenSize : own - spared)
  return rows * (kept + sharedElements(config, rank)) + logitRowsOf(config, rows) * vocabSize
}

/** Room for up to `rows` rows. */
export function allocateActivations(
  k: Kernels,
  config: ModelConfig,
  { rows, rank, recompute, keeps }: ActivationSize,
): Activations {
  const { hiddenSize: D, heads, kvHeads, headDim, ffnSize } = config
  const floats = (width: number): Float32Array => k.allocate(rows * width)
  const qkv = (heads + 2 * kvHeads) * headDim
  const logitRows = logitRowsOf(config, rows)
  const layer = (shared?: LayerActivations): LayerActivations => {
    return {
      x: floats(D),
      attentionIn: shared && !keeps.attentionIn ? shared.attentionIn : floats(D),
      attentionInverse: floats(1),
      qkv: floats(qkv),
      rawQkv: config.qkNorm ? floats(qkv) : null,
      qInverse: config.qkNorm ? floats(heads) : null,
      kInverse: config.qkNorm ? floats(kvHeads) : null,
      logSum: floats(heads),
      mixed: floats(heads * headDim),
      middle: floats(D),
      ffnIn: shared && !keeps.ffnIn ? shared.ffnIn : floats(D),
      ffnInverse: floats(1),
      gateUp: floats(2 * ffnSize),
    }
  }
  const first = layer()
  const next = (): LayerActivations => (recompute ? { ...first, x: floats(D) } : layer(first))
  return {
    rows,
    layers: Array.from({ length: config.layers }, (_, l) => (l === 0 ? first : next())),
    recompute,
    dx: floats(D),
    dIn: floats(D),
    hidden: floats(ffnSize),
    dqkv: floats(qkv),
    dMixed: floats(heads * headDim),
    mixedScored: floats(heads * headDim),
    scored: floats(D),
    scoredIn: floats(D),
    scoredInverse: floats(1),
    nll: floats(1),
    logits: k.allocate(logitRows * config.vocabSize),
    logitRows,
    adapter: { down: floats(rank), back: floats(rank) },
  }
}
