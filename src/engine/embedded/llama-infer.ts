/** Inference graphs of a Llama model: prefill and one-token decode with past keys and values, and scoring; weights are inputs. */
import { type LlamaConfig, parameterSpecs } from '../../model/config.ts'
import { Graph, type Value } from './onnx.ts'

/*
 * Rows are T-major ([slots T, batch B, ...]), so the past of a batch is a contiguous prefix of one buffer and
 * FusedMatMul reads [T, B, heads, headDim] as [B, heads, T, headDim] without a transpose. Nothing here depends on
 * a batch size or a length: one compiled graph serves all of them, and every checkpoint of the architecture.
 */

/**
 * - prefill: `ids_TB`, `positions_TB`, `mask_TT`, `rows_R` (t·B + b) -> `logits_RV`, `keys.l`, `values.l` [T, B, kv·headDim]
 * - decode: `ids_TB`, `positions_TB` with T = 1, `mask_B111P` over past and new token, `past_keys.l`, `past_values.l`
 *   [P, B, kv, 1, headDim] -> `logits_RV` with R = B, `keys.l`, `values.l` [1, B, kv·headDim]
 * - score: the inputs of prefill and `picks_N2` (index into rows, token) -> `logprobs_N`
 */
export type ModelGraph = 'prefill' | 'decode' | 'score'

/** Added to the attention score of a slot that must not be seen; its probability underflows to exactly 0. */
export const MASKED = -1e9

/** Equal for models that the same graphs serve. */
export function architectureKey(config: LlamaConfig): string {
  const { vocabSize, hiddenSize, layers, heads, kvHeads, headDim, ffnSize, ropeTheta, rmsEps, tied } = config
  return JSON.stringify([
    vocabSize,
    hiddenSize,
    layers,
    heads,
    kvHeads,
    headDim,
    ffnSize,
    ropeTheta,
    rmsEps,
    tied,
  ])
}

/** The bytes of an ONNX model. The inputs besides those of the kind: every parameter by its name, `cos` and `sin`. */
export function modelGraph(config: LlamaConfig, kind: ModelGraph): Uint8Array {
  const graph = new Graph()
  for (const { name, shape } of parameterSpecs(config)) graph.input(name, 'float32', shape)
  const ids = graph.input('ids_TB', 'int32', ['T', 'B'])
  graph.input('positions_TB', 'int64', ['T', 'B'])
  graph.input('cos', 'float32', ['positions', config.headDim / 2])
  graph.input('sin', 'float32', ['positions', config.headDim / 2])
  if (kind === 'decode') graph.input('mask_B111P', 'float32', ['B', 1, 1, 1, 'P + 1'])
  else graph.input('mask_TT', 'float32', ['T', 'T'])

  let x_TBD = graph.op('Gather', ['model.embed_tokens.weight', ids])
  for (let layer = 0; layer < config.layers; layer++) {
    const attended = attention(graph, config, kind, layer, x_TBD)
    x_TBD = feedForward(graph, config, layer, graph.op('Add', [x_TBD, attended]))
  }
  head(graph, config, kind, x_TBD)
  return graph.encode()
}

/** `logits_RV`, `inverse_temperatures_R1` -> `probabilities_RV`. Ten times as fast as the same loop in JavaScript. */
export function softmaxGraph(config: LlamaConfig): Uint8Array {
  const graph = new Graph()
  const dims = ['R', config.vocabSize]
  const logits_RV = graph.input('logits_RV', 'float32', dims)
  const inverse_R1 = graph.input('inverse_temperatures_R1', 'float32', ['R', 1])
  const scaled_RV = graph.op('Mul', [logits_RV, inverse_R1])
  graph.output(graph.op('Softmax', [scaled_RV], { axis: -1 }), 'probabilities_RV', 'float32', dims)
  return graph.encode()
}

function normed(graph: Graph, config: LlamaConfig, x: Value, gain: Value): Value {
  return graph.op('SimplifiedLayerNormalization', [x, gain], {
    axis: -1,
    epsilon: { float: config.rmsEps },
    stash_type: 1,
  })
}

const linear = (graph: Graph, x: Value, weight: Value): Value => graph.matmul(x, weight, { transB: true })

function attention(graph: Graph, config: LlamaConfig, kind: ModelGraph, layer: number, x: Value): Value {
  const { heads, kvHeads, headDim } = config
  const weight = (name: string): Value => `model.layers.${layer}.self_attn.${name}_proj.weight`
  const input = normed(graph, config, x, `model.layers.${layer}.input_layernorm.weight`)
  const rotated = (y: Value, count: number): Value =>
    graph.microsoft('RotaryEmbedding', [y, 'positions_TB', 'cos', 'sin'], { num_heads: count })

  const query = graph.op('Mul', [
    rotated(linear(graph, input, weight('q')), heads),
    graph.scalar(1 / Math.sqrt(headDim)),
  ])
  const keys = rotated(linear(graph, input, weight('k')), kvHeads)
  const values = linear(graph, input, weight('v'))
  if (kind !== 'score') {
    const dims = ['T', 'B', kvHeads * headDim]
    graph.output(keys, keysName(layer), 'float32', dims)
    graph.output(values, valuesName(layer), 'float32', dims)
  }
  const attend = kind === 'decode' ? attendPast : attendPrompt
  return linear(graph, attend({ graph, config, layer, query, keys, values }), weight('o'))
}

export const keysName = (layer: number): string => `keys.${layer}`
export const valuesName = (layer: number): string => `values.${layer}`
export const pastKeysName = (layer: number): string => `past_keys.${layer}`
export const pastValuesName = (layer: number): string => `past_values.${layer}`

interface Attend {
  readonly graph: Graph
  readonly config: LlamaConfig
  readonly layer: number
  /** [T, B, heads·headDim], already divided by √headDim; keys and values [T, B, kv·headDim]. */
  readonly query: Value
  readonly keys: Value
  readonly values: Value
}

/** Attention of all positions of the prompt among themselves. */
function attendPrompt({ graph, config, query, keys, values }: Attend): Value {
  const { heads, kvHeads, headDim } = config
  const query_TBKGH = graph.reshape(query, 0, 0, kvHeads, heads / kvHeads, headDim)
  const keys_TBK1H = graph.reshape(keys, 0, 0, kvHeads, 1, headDim)
  const values_TBK1H = graph.reshape(values, 0, 0, kvHeads, 1, headDim)
  const scores_BKGTT = graph.matmul(query_TBKGH, keys_TBK1H, {
    transBatchA: true,
    transBatchB: true,
    transB: true,
  })
  const weights_BKGTT = graph.op('Softmax', [graph.op('Add', [scores_BKGTT, 'mask_TT'])], { axis: -1 })
  const mixed_BKGTH = graph.matmul(weights_BKGTT, values_TBK1H, { transBatchB: true })
  return graph.reshape(graph.transpose(mixed_BKGTH, 3, 0, 1, 2, 4), 0, 0, heads * headDim)
}

/** Attention of one new token to the past and to itself; matrix-vector products a head, which MLAS does without packing. */
function attendPast({ graph, config, layer, query, keys, values }: Attend): Value {
  const { heads, kvHeads, headDim } = config
  const past = ['P', 'B', kvHeads, 1, headDim]
  const pastKeys_PBK1H = graph.input(pastKeysName(layer), 'float32', past)
  const pastValues_PBK1H = graph.input(pastValuesName(layer), 'float32', past)
  const query_BKG1H = graph.reshape(query, -1, kvHeads, heads / kvHeads, 1, headDim)
  const keys_BK11H = graph.reshape(keys, -1, kvHeads, 1, 1, headDim)
  const values_BK11H = graph.reshape(values, -1, kvHeads, 1, 1, headDim)

  const scores_BKG1P = graph.op(
    'Concat',
    [
      graph.matmul(query_BKG1H, pastKeys_PBK1H, { transBatchB: true, transB: true }),
      graph.matmul(query_BKG1H, keys_BK11H, { transB: true }),
    ],
    { axis: -1 },
  )
  const weights = graph.op('Softmax', [graph.op('Add', [scores_BKG1P, 'mask_B111P'])], { axis: -1 })
  const slice = (from: number, to: number): Value =>
    graph.op('Slice', [weights, graph.int64s(from), graph.int64s(to), graph.int64s(-1)])
  const mixed_BKG1H = graph.op('Add', [
    graph.matmul(slice(0, -1), pastValues_PBK1H, { transBatchB: true }),
    graph.op('Mul', [slice(-1, 2 ** 40), values_BK11H]),
  ])
  return graph.reshape(mixed_BKG1H, 1, -1, heads * headDim)
}

/** x + down(silu(gate(norm x)) · up(norm x)). */
function feedForward(graph: Graph, config: LlamaConfig, layer: number, x: Value): Value {
  const prefix = `model.layers.${layer}.`
  const input = normed(graph, config, x, `${prefix}post_attention_layernorm.weight`)
  const gate = linear(graph, input, `${prefix}mlp.gate_proj.weight`)
  const silu = graph.microsoft('QuickGelu', [gate], { alpha: { float: 1 } })
  const wide = graph.op('Mul', [silu, linear(graph, input, `${prefix}mlp.up_proj.weight`)])
  return graph.op('Add', [x, linear(graph, wide, `${prefix}mlp.down_proj.weight`)])
}

/** Only the rows that somebody asked for go through the head, which is most of a small model. */
function head(graph: Graph, config: LlamaConfig, kind: ModelGraph, x_TBD: Value): void {
  let x_RD = graph.reshape(x_TBD, -1, config.hiddenSize)
  if (kind !== 'decode') x_RD = graph.op('Gather', [x_RD, graph.input('rows_R', 'int32', ['R'])])
  const final = normed(graph, config, x_RD, 'model.norm.weight')
  const logits_RV = linear(graph, final, config.tied ? 'model.embed_tokens.weight' : 'lm_head.weight')
  if (kind !== 'score') {
    graph.output(logits_RV, 'logits_RV', 'float32', ['R', config.vocabSize])
    return
  }
  const logprobs_RV = graph.op('LogSoftmax', [logits_RV], { axis: -1 })
  const picked = graph.op('GatherND', [logprobs_RV, graph.input('picks_N2', 'int64', ['N', 2])])
  graph.output(picked, 'logprobs_N', 'float32', ['N'])
}
