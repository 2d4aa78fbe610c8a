/** The training graph of a Llama: loss of the scored rows and the gradient of every parameter, for one static shape. */
import type { LlamaConfig } from '../../model/config.ts'
import { parameterSpecs } from '../../model/config.ts'
import { attention, maskBlocks, rope, type AttentionShape, type RopeValues } from './attention.ts'
import { crossEntropy, embed, linear, pickRows, residual, rmsNormalise, swiglu } from './layers.ts'
import { Graph, type Value } from './onnx.ts'
import { ropeTables } from './rope.ts'
import { Tape } from './tape.ts'

/** What a compiled graph is made for. */
export interface TrainShape {
  /** Tokens a pack. */
  readonly T: number
  /** Packs a run. */
  readonly B: number
  /** Runs of queries that skip later keys; divides T. */
  readonly blocks: number
}

/** Output that holds the gradient of a parameter. */
export const gradientName = (parameter: string): string => `gradient of ${parameter}`

/**
 * Inputs: every parameter by its Hugging Face name; `ids` [N], `positions` [T, B], `mask` [B, 1, 1, T, T], `rows` [R],
 * `places` [N], `targets` [R, 1], `weights` [R, 1] (train-batch.ts makes them; R may differ from run to run).
 * Outputs: `nll` [R, 1] and `gradient of <parameter>`, the gradient of sum(weights · nll).
 */
export function buildTrainGraph(config: LlamaConfig, shape: TrainShape): Graph {
  const { T, B } = shape
  const { hiddenSize, vocabSize } = config
  const N = T * B
  const graph = new Graph()
  const tape = new Tape(graph)
  const parameters = parameterSpecs(config)
  for (const { name, shape: dims } of parameters) graph.input(name, 'float32', dims)
  const ids_N = graph.input('ids', 'int32', [N])
  const positions_TB = graph.input('positions', 'int64', [T, B])
  const mask_B11TT = graph.input('mask', 'float32', [B, 1, 1, T, T])
  const rows_R = graph.input('rows', 'int32', ['R'])
  const places_N = graph.input('places', 'int32', [N])
  const targets_R1 = graph.input('targets', 'int64', ['R', 1])
  const weights_R1 = graph.input('weights', 'float32', ['R', 1])

  const context: BlockContext = {
    tape,
    config,
    shape: { T, B, heads: config.heads, kvHeads: config.kvHeads, headDim: config.headDim },
    table: ropeValues(graph, config, T, positions_TB),
    maskBlocks: maskBlocks(graph, mask_B11TT, T, shape.blocks),
  }
  const table_VD = 'model.embed_tokens.weight'
  let x_ND = embed(tape, table_VD, ids_N, vocabSize, hiddenSize)
  for (let l = 0; l < config.layers; l++) x_ND = block(context, x_ND, `model.layers.${l}.`)
  const scored_RD = pickRows(tape, x_ND, rows_R, places_N, hiddenSize)
  const normed_RD = rmsNormalise(tape, scored_RD, hiddenSize, config.rmsEps)
  const logits_RV = linear(tape, normed_RD, config.tied ? table_VD : 'lm_head.weight', 'model.norm.weight')
  const nll_R1 = crossEntropy(tape, logits_RV, targets_R1, weights_R1)
  tape.backward()

  graph.output(nll_R1, 'nll', 'float32', ['R', 1])
  for (const { name, shape: dims } of parameters) {
    graph.output(tape.gradientOf(name), gradientName(name), 'float32', dims)
  }
  return graph
}

interface BlockContext {
  readonly tape: Tape
  readonly config: LlamaConfig
  readonly shape: AttentionShape
  readonly table: RopeValues
  readonly maskBlocks: readonly Value[]
}

/** One transformer block: attention and feed-forward, each on the normalised stream and added to it. */
function block(
  { tape, config, shape, table, maskBlocks: masks }: BlockContext,
  x_ND: Value,
  prefix: string,
): Value {
  const attentionGain = `${prefix}input_layernorm.weight`
  const ffnGain = `${prefix}post_attention_layernorm.weight`
  const project = (rows: Value, name: string, gain?: Value): Value =>
    linear(tape, rows, `${prefix}${name}_proj.weight`, gain)

  const forAttention = rmsNormalise(tape, x_ND, config.hiddenSize, config.rmsEps)
  const q = rope(tape, project(forAttention, 'self_attn.q', attentionGain), config.heads, shape, table)
  const k = rope(tape, project(forAttention, 'self_attn.k', attentionGain), config.kvHeads, shape, table)
  const v = project(forAttention, 'self_attn.v', attentionGain)
  const mixed = attention(tape, { q, k, v, maskBlocks: masks }, shape)
  const middle_ND = residual(tape, x_ND, project(mixed, 'self_attn.o'))

  const forFfn = rmsNormalise(tape, middle_ND, config.hiddenSize, config.rmsEps)
  const hidden_NF = swiglu(tape, project(forFfn, 'mlp.gate', ffnGain), project(forFfn, 'mlp.up', ffnGain))
  return residual(tape, middle_ND, project(hidden_NF, 'mlp.down'))
}

function ropeValues(graph: Graph, config: LlamaConfig, T: number, positions_TB: Value): RopeValues {
  const { cos, sin } = ropeTables(T, config.headDim, config.ropeTheta)
  const dims = [T, config.headDim / 2]
  return {
    positions_TB,
    cos: graph.floats(dims, cos),
    sin: graph.floats(dims, sin),
    minusSin: graph.floats(
      dims,
      sin.map((value) => -value),
    ),
  }
}
