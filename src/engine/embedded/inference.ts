/** Runs tokens of several sequences through a model at once, over a cache of what came before; the way to the logits. */
import type { ModelConfig } from '../../model/config.ts'
import type { Kernels } from './kernels.ts'
import {
  allocateCache,
  type CacheNeed,
  type CacheShape,
  cacheShape,
  type KvCache,
  spreadPrefix,
} from './kv-cache.ts'
import { applyLinear, type PackedLayer, type PackedNetwork } from './packed-network.ts'
import { ropeTables } from './rope.ts'
import type { SampledModel } from './sampled-model.ts'

/** Rows of one step, if no sequence is longer: enough for full speed, few enough that cancelling is quick. */
const STEP_ROWS = 256
/** Elements of logits that are computed at once (8 MB). */
const LOGITS = 2 ** 21

/** Tokens of one sequence that go through the model in one step. */
export interface Run {
  readonly slot: number
  /** Positions that the slot holds before. */
  readonly past: number
  readonly tokens: readonly number[]
  /** Which of the tokens have logits that are wanted, ascending. */
  readonly wanted: readonly number[]
}

/** Shapes: N rows of a step, D width, V tokens of the vocabulary, H heads, K key heads, h width of a head. */
interface Arrays {
  readonly ids: Int32Array
  readonly positions: Int32Array
  readonly wanted: Int32Array
  /** [runs + 1], [runs], [runs] */
  readonly starts: Int32Array
  readonly slots: Int32Array
  readonly pasts: Int32Array
  /** [N, D] the stream, and what goes into a matrix */
  readonly x: Float32Array
  readonly normed: Float32Array
  /** [N, D] the stream of the wanted rows */
  readonly last: Float32Array
  readonly lastMixed: Float32Array
  readonly qkv: Float32Array
  readonly mixed: Float32Array
  readonly gateUp: Float32Array
  readonly hidden: Float32Array
  /** [logitRows, V] */
  readonly logits: Float32Array
}

/**
 * A model, a cache for the sequences of a call, and scratch. The logits of a token have the same bits
 * whatever else is in its step, however its sequence was cut into steps, and with any number of threads: every kernel
 * computes a row by itself, and `cachedAttention` sums in the same order however many rows a run has.
 */
export interface Inference {
  readonly k: Kernels
  readonly network: PackedNetwork
  readonly cache: KvCache
  readonly cos: Float32Array
  readonly sin: Float32Array
  readonly maxRows: number
  readonly logitRows: number
  readonly arrays: Arrays
}

/** For `sequences` of up to `positions` tokens. What an earlier call left in the memory is never read. */
export function openInference(model: SampledModel, need: CacheNeed): Inference {
  const shape = cacheShape(model.network.config, need)
  const last = model.inference
  if (last !== null && last.cache.slots >= shape.slots && last.cache.capacity >= shape.capacity) return last
  model.inference = null
  return (model.inference = allocateInference(model, shape))
}

/** Rows of a step, and those whose logits are computed at once. */
function rowsOf(
  { vocabSize }: ModelConfig,
  { slots, capacity }: CacheShape,
): { readonly maxRows: number; readonly logitRows: number } {
  const maxRows = Math.max(slots, Math.min(STEP_ROWS, slots * capacity))
  return { maxRows, logitRows: Math.max(1, Math.min(maxRows, Math.floor(LOGITS / vocabSize))) }
}

/** Elements of 32 bits that `openInference` will allocate. */
export function inferenceElements(config: ModelConfig, need: CacheNeed): number {
  const { hiddenSize: D, ffnSize, heads, kvHeads, headDim, layers, vocabSize } = config
  const shape = cacheShape(config, need)
  const { maxRows, logitRows } = rowsOf(config, shape)
  const cache = 2 * layers * shape.slots * shape.capacity * kvHeads * headDim
  const row = 3 * D + 2 * heads * headDim + (heads + 2 * kvHeads) * headDim + 3 * ffnSize
  return cache + maxRows * row + logitRows * vocabSize + shape.capacity * headDim
}

function allocateInference({ k, network }: SampledModel, shape: CacheShape): Inference {
  const { config } = network
  const { cos, sin } = ropeTables(shape.capacity, config)
  const { maxRows, logitRows } = rowsOf(config, shape)
  return {
    k,
    network,
    cache: allocateCache(k, config, shape),
    cos: Float32Array.from(cos),
    sin: Float32Array.from(sin),
    maxRows,
    logitRows,
    arrays: allocateArrays(k, network, { rows: maxRows, slots: shape.slots, logitRows }),
  }
}

function allocateArrays(
  k: Kernels,
  { config }: PackedNetwork,
  { rows, slots, logitRows }: { readonly rows: number; readonly slots: number; readonly logitRows: number },
): Arrays {
  const { hiddenSize: D, ffnSize, heads, kvHeads, headDim, vocabSize } = config
  const floats = (width: number): Float32Array => k.allocate(rows * width)
  return {
    ids: new Int32Array(rows),
    positions: new Int32Array(rows),
    wanted: new Int32Array(rows),
    starts: new Int32Array(slots + 1),
    slots: new Int32Array(slots),
    pasts: new Int32Array(slots),
    x: floats(D),
    normed: floats(D),
    last: floats(D),
    lastMixed: floats(heads * headDim),
    qkv: floats((heads + 2 * kvHeads) * headDim),
    mixed: floats(heads * headDim),
    gateUp: floats(2 * ffnSize),
    hidden: floats(ffnSize),
    logits: k.allocate(logitRows * vocabSize),
  }
}

/**
 * Feeds the runs, of different slots and together at most `maxRows` tokens; returns how many rows are wanted. `eachLogits`
 * computes from them until the next step.
 */
export function runStep(inference: Inference, runs: readonly Run[]): number {
  const { k, network, arrays } = inference
  const { config, embedding, layers } = network
  const { rows, wanted } = layOut(arrays, runs)
  k.gather(arrays.x, embedding, arrays.ids, rows, config.hiddenSize, config.vocabSize)
  for (const [l, layer] of layers.entries()) {
    attend(inference, { l, layer, rows, runs: runs.length })
    // Of the last layer, what is not wanted ends with its keys and values.
    if (l < layers.length - 1) feedForward(inference, { layer, rows, stream: arrays.x, mixed: arrays.mixed })
    else if (wanted > 0) {
      const { hiddenSize: D, heads, headDim } = config
      k.gather(arrays.last, arrays.x, arrays.wanted, wanted, D, rows)
      k.gather(arrays.lastMixed, arrays.mixed, arrays.wanted, wanted, heads * headDim, rows)
      feedForward(inference, { layer, rows: wanted, stream: arrays.last, mixed: arrays.lastMixed })
    }
  }
  return wanted
}

function layOut(arrays: Arrays, runs: readonly Run[]): { rows: number; wanted: number } {
  const { ids, positions, starts, slots, pasts } = arrays
  let rows = 0
  let wanted = 0
  for (const [i, run] of runs.entries()) {
    starts[i] = rows
    slots[i] = run.slot
    pasts[i] = run.past
    for (const w of run.wanted) arrays.wanted[wanted++] = rows + w
    for (let t = 0; t < run.tokens.length; t++, rows++) {
      ids[rows] = run.tokens[t] as number
      positions[rows] = run.past + t
    }
  }
  starts[runs.length] = rows
  return { rows, wanted }
}

interface AttentionStep {
  readonly l: number
  readonly layer: PackedLayer
  readonly rows: number
  readonly runs: number
}

/** From the stream to what attention mixes; the new keys and values go into the cache. */
function attend({ k, network: { config }, cache, cos, sin, arrays }: Inference, step: AttentionStep): void {
  const { hiddenSize: D, heads, kvHeads, headDim, rmsEps } = config
  const { x, normed, qkv, mixed, positions, starts, slots, pasts } = arrays
  const { layer, rows, runs } = step
  const { attentionGain, qkvBias, qGain, kGain } = layer.weights
  const { outputs } = layer.qkv
  k.rmsNorm(normed, x, attentionGain, null, rows, 1, D, D, D, rmsEps)
  applyLinear(k, layer.qkv, { y: qkv, x: normed, rows })
  if (qkvBias !== null) k.addBias(qkv, qkvBias, rows, outputs, outputs)
  if (qGain !== null && kGain !== null) {
    const keys = qkv.subarray(heads * headDim)
    k.rmsNorm(qkv, qkv, qGain, null, rows, heads, headDim, outputs, outputs, rmsEps)
    k.rmsNorm(keys, keys, kGain, null, rows, kvHeads, headDim, outputs, outputs, rmsEps)
  }
  const table = cos.length / (headDim / 2)
  k.rope(qkv, positions, cos, sin, rows, heads + kvHeads, headDim, outputs, table, 1)
  const { keys, values } = cache.layers[step.l] as KvCache['layers'][number]
  const { slots: count, capacity } = cache
  k.cachedAttention(
    mixed,
    qkv,
    keys,
    values,
    starts,
    slots,
    pasts,
    runs,
    heads,
    kvHeads,
    headDim,
    count,
    capacity,
  )
}

interface FeedForwardStep {
  readonly layer: PackedLayer
  readonly rows: number
  readonly stream: Float32Array
  readonly mixed: Float32Array
}

/** stream += what attention mixed, += the feed-forward network of it. */
function feedForward(
  { k, network: { config }, arrays }: Inference,
  { layer, rows, stream, mixed }: FeedForwardStep,
): void {
  const { hiddenSize: D, ffnSize, rmsEps } = config
  const { normed, gateUp, hidden } = arrays
  applyLinear(k, layer.o, { y: stream, x: mixed, rows, accumulate: 1 })
  k.rmsNorm(normed, stream, layer.weights.ffnGain, null, rows, 1, D, D, D, rmsEps)
  applyLinear(k, layer.gateUp, { y: gateUp, x: normed, rows })
  k.swiglu(hidden, gateUp, rows, ffnSize)
  applyLinear(k, layer.down, { y: stream, x: hidden, rows, accumulate: 1 })
}

/** Calls `use` with the logits [to - from, V] of the wanted rows, a bounded run of them at a time. */
export function eachLogits(
  { k, network: { config, finalGain, head }, arrays, logitRows }: Inference,
  wanted: number,
  use: (logits: Float32Array, from: number, to: number) => void,
): void {
  const D = config.hiddenSize
  const { last, normed, logits } = arrays
  k.rmsNorm(normed, last, finalGain, null, wanted, 1, D, D, D, config.rmsEps)
  for (let from = 0; from < wanted; from += logitRows) {
    const to = Math.min(wanted, from + logitRows)
    applyLinear(k, head, { y: logits, x: normed.subarray(from * D), rows: to - from })
    use(logits, from, to)
  }
}

/** Below it, computing the tokens that all sequences begin with once does not pay. */
const SHORTEST_PREFIX = 16

/**
 * Computes what all sequences begin with once, and puts it into every slot; returns its length. The last token of a sequence
 * is never part of it.
 */
export function sharePrefix(inference: Inference, sequences: readonly (readonly number[])[]): number {
  const length = commonPrefix(sequences)
  if (sequences.length < 2 || length < SHORTEST_PREFIX) return 0
  const tokens = sequences[0] as readonly number[]
  for (let past = 0; past < length; past += inference.maxRows) {
    const piece = tokens.slice(past, Math.min(length, past + inference.maxRows))
    runStep(inference, [{ slot: 0, past, tokens: piece, wanted: [] }])
  }
  const slots = Math.min(inference.cache.slots, sequences.length)
  spreadPrefix(inference.k, inference.network.config, inference.cache, { positions: length, slots })
  return length
}

function commonPrefix([first = [], ...others]: readonly (readonly number[])[]): number {
  let length = first.length - 1
  for (const other of others) {
    length = Math.min(length, other.length - 1)
    for (let t = 0; t < length; t++) if (other[t] !== first[t]) length = t
  }
  return Math.max(0, length)
}
