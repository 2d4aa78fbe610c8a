/** Loss and gradients of a Llama-style model on token rows: one forward pass that keeps what the backward pass needs. */
import type { ModelConfig } from '../../model/config.ts'
import { allocateActivations, type Activations, type LayerActivations } from './activations.ts'
import type { Kernels } from './kernels.ts'
import { adapterGradient, inputGradient, linearForward, weightGradients } from './linear.ts'
import type { ModelView } from './model-view.ts'
import type { Network, NetworkLayer } from './network.ts'
import { ropeTables } from './rope.ts'
import type { TokenRows } from './token-rows.ts'

/** Rotary tables, [rows, headDim / 2]. */
export interface Rotation {
  readonly cos: Float32Array
  readonly sin: Float32Array
  readonly rows: number
}

export interface Pass {
  readonly k: Kernels
  readonly network: Network
  readonly rotation: Rotation
  readonly activations: Activations
}

/** What one run of rows through the model needs to know. */
interface RunOptions {
  /** Multiplies the loss of every scored row. */
  readonly weight: number
  /** 0 for the first rows of a step: gradients of matrices are overwritten; 1: they are added to. */
  readonly accumulate: 0 | 1
}

/**
 * The gradient of weight · sum(nll) over the scored rows of all batches, which go through one after another; returns the sum
 * of their nll in nats. Sums are over rows in their order, so that how rows are cut into batches changes no bit.
 */
export function lossAndGradients(pass: Pass, batches: readonly TokenRows[], weight: number): number {
  const { k, network, activations } = pass
  const { gradients, config } = network
  const { hiddenSize: D, vocabSize: V, layers: L } = config
  if (gradients !== null) zeroSums(gradients, config.tied)
  // Rows of which none is scored change nothing.
  const runs = batches.filter(({ scored }) => scored.length > 0)
  if (runs.length === 0) throw new RangeError('no row is scored')
  // The gradient of a tied head comes before that of the lookups, whichever batch they are in.
  const lookups: { readonly ids: Int32Array; readonly gradient: Float32Array }[] = []
  let nll = 0
  for (const [i, rows] of runs.entries()) {
    const options: RunOptions = { weight, accumulate: i === 0 ? 0 : 1 }
    forward(pass, rows)
    for (const value of scoreRows(pass, rows, options)) nll += value
    for (let l = L - 1; l >= 0; l--) {
      // What the last layer computed is still there.
      if (activations.recompute && l < L - 1) layerForward(pass, rows, l, null)
      layerBackward(pass, rows, l, options.accumulate)
    }
    const own = activations.dx.subarray(0, rows.ids.length * D)
    if (gradients !== null) lookups.push({ ids: rows.ids, gradient: runs.length === 1 ? own : own.slice() })
  }
  if (gradients !== null) {
    for (const { ids, gradient } of lookups)
      k.scatterAdd(gradients.embedding, gradient, ids, ids.length, D, V)
  }
  return nll
}

/** Gradients that are summed row by row begin at zero; matrices are overwritten by their first product instead. */
function zeroSums(gradients: ModelView, tied: boolean): void {
  for (const layer of gradients.layers) {
    for (const sum of [layer.attentionGain, layer.ffnGain, layer.qkvBias, layer.qGain, layer.kGain])
      sum?.fill(0)
  }
  gradients.finalGain.fill(0)
  if (!tied) gradients.embedding.fill(0)
}

function forward(pass: Pass, rows: TokenRows): void {
  const { k, network, activations } = pass
  const { config, weights } = network
  const { hiddenSize: D, vocabSize: V } = config
  const kept = activations.layers as readonly [LayerActivations, ...LayerActivations[]]
  k.gather(kept[0].x, weights.embedding, rows.ids, rows.ids.length, D, V)
  for (let l = 0; l < kept.length; l++) layerForward(pass, rows, l, kept[l + 1]?.x ?? activations.scored)
}

/**
 * The stream after layer l into `out`; null: only what the layer keeps. After attention nothing of the last layer but its scored
 * rows is read any more: only those go on.
 */
function layerForward(
  { k, network, rotation, activations }: Pass,
  rows: TokenRows,
  l: number,
  out: Float32Array | null,
): void {
  const { config } = network
  const { hiddenSize: D, ffnSize: F, heads, kvHeads, headDim, rmsEps } = config
  const N = rows.ids.length
  const layer = network.layers[l] as NetworkLayer
  const kept = activations.layers[l] as LayerActivations
  const scratch = activations.adapter
  const { weights } = layer
  k.rmsNorm(kept.attentionIn, kept.x, weights.attentionGain, kept.attentionInverse, N, 1, D, D, D, rmsEps)
  linearForward(k, layer.qkv, { y: kept.qkv, x: kept.attentionIn, rows: N, scratch })
  if (weights.qkvBias !== null) k.addBias(kept.qkv, weights.qkvBias, N, layer.qkv.outputs, layer.qkv.outputs)
  normHeads(k, config, layer, kept, N)
  const { cos, sin } = rotation
  const { outputs } = layer.qkv
  k.rope(kept.qkv, rows.positions, cos, sin, N, heads + kvHeads, headDim, outputs, rotation.rows, 1)
  const documents = rows.starts.length - 1
  k.attention(kept.mixed, kept.logSum, kept.qkv, rows.starts, documents, heads, kvHeads, headDim)

  const last = l === config.layers - 1
  const R = last ? rows.scored.length : N
  const mixed = last ? activations.mixedScored : kept.mixed
  if (last) {
    k.gather(mixed, kept.mixed, rows.scored, R, heads * headDim, N)
    k.gather(kept.middle, kept.x, rows.scored, R, D, N)
  } else k.copy(kept.middle, kept.x, N * D)
  linearForward(k, layer.o, { y: kept.middle, x: mixed, rows: R, scratch, accumulate: 1 })

  k.rmsNorm(kept.ffnIn, kept.middle, weights.ffnGain, kept.ffnInverse, R, 1, D, D, D, rmsEps)
  linearForward(k, layer.gateUp, { y: kept.gateUp, x: kept.ffnIn, rows: R, scratch })
  if (out === null) return
  k.swiglu(activations.hidden, kept.gateUp, R, F)
  k.copy(out, kept.middle, R * D)
  linearForward(k, layer.down, { y: out, x: activations.hidden, rows: R, scratch, accumulate: 1 })
}

/** Qwen3: each head of queries and keys is normalised; what it was is kept for the way back. */
function normHeads(
  k: Kernels,
  { heads, kvHeads, headDim, rmsEps }: ModelConfig,
  { weights: { qGain, kGain }, qkv: { outputs } }: NetworkLayer,
  kept: LayerActivations,
  N: number,
): void {
  if (qGain === null || kGain === null || kept.rawQkv === null) return
  k.copy(kept.rawQkv, kept.qkv, N * outputs)
  const at = heads * headDim
  const keys = kept.qkv.subarray(at)
  k.rmsNorm(kept.qkv, kept.qkv, qGain, kept.qInverse, N, heads, headDim, outputs, outputs, rmsEps)
  k.rmsNorm(keys, keys, kGain, kept.kInverse, N, kvHeads, headDim, outputs, outputs, rmsEps)
}

/** The nll of the scored rows, and the gradient of their stream after the last layer into activations.dx; a run of rows at a time. */
function scoreRows({ k, network, activations }: Pass, rows: TokenRows, options: RunOptions): Float32Array {
  const { config, weights, gradients, head } = network
  const { hiddenSize: D, vocabSize: V, rmsEps } = config
  const R = rows.scored.length
  const { scored, scoredIn, scoredInverse, logits, logitRows, nll, adapter: scratch } = activations
  k.rmsNorm(scoredIn, scored, weights.finalGain, scoredInverse, R, 1, D, D, D, rmsEps)
  const rowWeights = new Float32Array(R).fill(options.weight)
  const dScored = activations.dx
  let accumulate = options.accumulate
  for (let from = 0; from < R; from += logitRows) {
    const to = Math.min(R, from + logitRows)
    const x = scoredIn.subarray(from * D, to * D)
    linearForward(k, head, { y: logits, x, rows: to - from, scratch })
    const targets = rows.targets.subarray(from, to)
    k.crossEntropy(nll.subarray(from, to), logits, targets, rowWeights.subarray(from, to), to - from, V)
    const dx = dScored.subarray(from * D, to * D)
    inputGradient(k, head, { dy: logits, dx, rows: to - from, scratch })
    weightGradients(k, head, { dy: logits, x, rows: to - from, scratch, accumulate })
    accumulate = 1
  }
  const gainGradient = gradients?.finalGain ?? null
  k.rmsNormBackward(
    dScored,
    gainGradient,
    dScored,
    scored,
    weights.finalGain,
    scoredInverse,
    R,
    1,
    D,
    D,
    D,
    0,
  )
  return nll.subarray(0, R)
}

/** From the gradient of the stream after layer l, in activations.dx, to that before it. */
function layerBackward(pass: Pass, rows: TokenRows, l: number, accumulate: 0 | 1): void {
  const { k, network, rotation, activations } = pass
  const { config } = network
  const { hiddenSize: D, ffnSize: F, heads, kvHeads, headDim } = config
  const N = rows.ids.length
  const layer = network.layers[l] as NetworkLayer
  const kept = activations.layers[l] as LayerActivations
  const { weights, gradients } = layer
  const { dx, dIn, hidden, dqkv, dMixed, mixedScored, adapter: scratch } = activations
  const last = l === config.layers - 1
  const R = last ? rows.scored.length : N

  const ffn = { rows: R, scratch, accumulate }
  adapterGradient(k, layer.down, { ...ffn, dy: dx })
  inputGradient(k, layer.down, { ...ffn, dy: dx, dx: hidden })
  // silu(gate) · up was not kept: swigluBackward leaves it where its gradient was.
  k.swigluBackward(hidden, kept.gateUp, R, F)
  weightGradients(k, layer.down, { ...ffn, dy: dx, x: hidden })
  adapterGradient(k, layer.gateUp, { ...ffn, dy: kept.gateUp })
  weightGradients(k, layer.gateUp, { ...ffn, dy: kept.gateUp, x: kept.ffnIn })
  // Below the lowest adapter nothing is trained.
  const isLowest = l === 0 && network.gradients === null
  if (isLowest && layer.o.stack === null && layer.qkv.stack === null) return
  inputGradient(k, layer.gateUp, { ...ffn, dy: kept.gateUp, dx: dIn })
  const ffnGain = gradients?.ffnGain ?? null
  k.rmsNormBackward(dx, ffnGain, dIn, kept.middle, weights.ffnGain, kept.ffnInverse, R, 1, D, D, D, 1)

  adapterGradient(k, layer.o, { ...ffn, dy: dx })
  weightGradients(k, layer.o, { ...ffn, dy: dx, x: last ? mixedScored : kept.mixed })
  if (isLowest && layer.qkv.stack === null) return
  if (last) {
    // Back to all rows: those that are not scored have no gradient yet.
    const width = heads * headDim
    inputGradient(k, layer.o, { ...ffn, dy: dx, dx: mixedScored })
    dMixed.fill(0, 0, N * width)
    k.scatterAdd(dMixed, mixedScored, rows.scored, R, width, N)
    k.copy(dIn, dx, R * D)
    dx.fill(0, 0, N * D)
    k.scatterAdd(dx, dIn, rows.scored, R, D, N)
  } else inputGradient(k, layer.o, { ...ffn, dy: dx, dx: dMixed })
  const documents = rows.starts.length - 1
  const { starts, positions } = rows
  k.attentionBackward(
    dqkv,
    kept.qkv,
    kept.mixed,
    dMixed,
    kept.logSum,
    starts,
    documents,
    heads,
    kvHeads,
    headDim,
  )
  const { outputs } = layer.qkv
  const { cos, sin } = rotation
  k.rope(dqkv, positions, cos, sin, N, heads + kvHeads, headDim, outputs, rotation.rows, -1)
  normHeadsBackward(k, config, layer, { kept, dqkv, N })
  if (gradients?.qkvBias) k.sumRows(gradients.qkvBias, dqkv, N, outputs, outputs)
  const qkv = { rows: N, scratch, accumulate }
  adapterGradient(k, layer.qkv, { ...qkv, dy: dqkv })
  weightGradients(k, layer.qkv, { ...qkv, dy: dqkv, x: kept.attentionIn })
  if (isLowest) return
  inputGradient(k, layer.qkv, { ...qkv, dy: dqkv, dx: dIn })
  const gain = gradients?.attentionGain ?? null
  k.rmsNormBackward(dx, gain, dIn, kept.x, weights.attentionGain, kept.attentionInverse, N, 1, D, D, D, 1)
}

function normHeadsBackward(
  k: Kernels,
  { heads, kvHeads, headDim }: ModelConfig,
  { weights: { qGain, kGain }, gradients, qkv: { outputs } }: NetworkLayer,
  { kept, dqkv, N }: { kept: LayerActivations; dqkv: Float32Array; N: number },
): void {
  const { rawQkv, qInverse, kInverse } = kept
  if (qGain === null || kGain === null || rawQkv === null || qInverse === null || kInverse === null) return
  const at = heads * headDim
  const dq = gradients?.qGain ?? null
  k.rmsNormBackward(dqkv, dq, dqkv, rawQkv, qGain, qInverse, N, heads, headDim, outputs, outputs, 0)
  const dKeys = dqkv.subarray(at)
  const dk = gradients?.kGain ?? null
  const raw = rawQkv.subarray(at)
  k.rmsNormBackward(dKeys, dk, dKeys, raw, kGain, kInverse, N, kvHeads, headDim, outputs, outputs, 0)
}

/** Everything that a pass over up to `rows` rows of documents of up to `contextLength` tokens needs. */
export function openPass(
  k: Kernels,
  network: Network,
  {
    rows,
    contextLength,
    recompute = false,
  }: { readonly rows: number; readonly contextLength: number; readonly recompute?: boolean },
): Pass {
  const { cos, sin } = ropeTables(contextLength, network.config)
  const rotation = { cos: Float32Array.from(cos), sin: Float32Array.from(sin), rows: contextLength }
  const activations = allocateActivations(k, network.config, {
    rows,
    rank: network.rank,
    recompute,
    keeps: network.keeps,
  })
  return { k, network, rotation, activations }
}
