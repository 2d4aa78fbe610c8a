/**
 * Differentiable causal attention with grouped keys (GQA) and rotary positions, on T-major rows.
 * Shape letters: T positions, B packs, K key heads, G query heads a key head, h head width; N = T·B rows.
 */
import type { Graph, Value } from './onnx.ts'
import type { Tape } from './tape.ts'

export interface AttentionShape {
  readonly T: number
  readonly B: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
}

/** Rotary tables as constants of the graph: cos, sin and -sin, [positions, headDim / 2]. */
export interface RopeValues {
  readonly positions_TB: Value
  readonly cos: Value
  readonly sin: Value
  readonly minusSin: Value
}

/** Rotates rows [N, heads·h] by their positions; the gradient is rotated back. */
export function rope(
  tape: Tape,
  x: Value,
  heads: number,
  { T, B, headDim }: AttentionShape,
  table: RopeValues,
): Value {
  const { graph } = tape
  const width = heads * headDim
  const rotate = (rows: Value, sin: Value): Value => {
    const rows_TBW = graph.reshape(rows, T, B, width)
    const turned_TBW = graph.microsoft('RotaryEmbedding', [rows_TBW, table.positions_TB, table.cos, sin], {
      num_heads: heads,
      rotary_embedding_dim: 0,
      interleaved: 0,
    })
    return graph.reshape(turned_TBW, T * B, width)
  }
  const y = rotate(x, table.sin)
  tape.onBackward(() => tape.addGradient(x, rotate(tape.gradientOf(y), table.minusSin)))
  return y
}

/**
 * softmax(q kᵀ / √h + mask) v -> rows [N, heads·h]. The mask [B, 1, 1, T, T] is 0 where a query sees a key, else very
 * negative; every query sees at least itself. Queries are cut into `blocks` equal runs and each skips the keys that come
 * after it: the same sums with less work.
 */
export function attention(
  tape: Tape,
  input: { readonly q: Value; readonly k: Value; readonly v: Value; readonly maskBlocks: readonly Value[] },
  shape: AttentionShape,
): Value {
  const { graph } = tape
  const { T, B, heads, kvHeads, headDim } = shape
  const groups = heads / kvHeads
  const scale = 1 / Math.sqrt(headDim)
  const blocks = input.maskBlocks.length
  const split = (rows: Value, perKey: number): Value => graph.reshape(rows, T, B, kvHeads, perKey, headDim)
  const q_TBKGh = split(input.q, groups)
  const k_TBK1h = split(input.k, 1)
  const v_TBK1h = split(input.v, 1)

  const forward = input.maskBlocks.map((mask_B11tT, i) => {
    const from = (T / blocks) * i
    const to = (T / blocks) * (i + 1)
    const q = slice(graph, q_TBKGh, from, to, T)
    const k = slice(graph, k_TBK1h, 0, to, T)
    const v = slice(graph, v_TBK1h, 0, to, T)
    const scores_BKGtT = graph.matmul(q, k, { transBatchA: true, transBatchB: true, transB: true, scale })
    const probs_BKGtT = graph.op('Softmax', [graph.op('Add', [scores_BKGtT, mask_B11tT])], { axis: -1 })
    const out_BKGth = graph.matmul(probs_BKGtT, v, { transBatchB: true })
    return { from, to, q, k, v, probs_BKGtT, out_tBKGh: toRows(graph, out_BKGth) }
  })
  const y = graph.reshape(
    join(
      graph,
      forward.map((block) => block.out_tBKGh),
    ),
    T * B,
    heads * headDim,
  )

  tape.onBackward(() => {
    const dy = tape.gradientOf(y)
    const dy_TBKGh = split(dy, groups)
    // sum over keys of probs · dProbs, which equals dy · y a head (FlashAttention, section 3.1)
    const dot_NH = graph.op('ReduceSum', [
      graph.reshape(graph.op('Mul', [dy, y]), T * B * heads, headDim),
      graph.int64s(-1),
    ])
    const dot_TBKG1 = graph.reshape(dot_NH, T, B, kvHeads, groups, 1)
    const dqs: Value[] = []
    let dk: Value | undefined
    let dv: Value | undefined
    for (const { from, to, q, k, v, probs_BKGtT } of forward) {
      const dy_tBKGh = slice(graph, dy_TBKGh, from, to, T)
      const dot_BKGt1 = graph.transpose(slice(graph, dot_TBKG1, from, to, T), 1, 2, 3, 0, 4)
      const dProbs = graph.matmul(dy_tBKGh, v, { transBatchA: true, transBatchB: true, transB: true })
      const dScores = graph.op('Mul', [probs_BKGtT, graph.op('Sub', [dProbs, dot_BKGt1])])
      dqs.push(toRows(graph, graph.matmul(dScores, k, { transBatchB: true, scale })))
      const dk_BKGTh = graph.matmul(dScores, q, { transA: true, transBatchB: true, scale })
      const dv_BKGTh = graph.matmul(probs_BKGtT, dy_tBKGh, { transA: true, transBatchB: true })
      dk = addPrefix(graph, dk, toRows(graph, sumGroups(graph, dk_BKGTh, groups)), from)
      dv = addPrefix(graph, dv, toRows(graph, sumGroups(graph, dv_BKGTh, groups)), from)
    }
    const kvWidth = kvHeads * headDim
    tape.addGradient(input.q, graph.reshape(join(graph, dqs), T * B, heads * headDim))
    tape.addGradient(input.k, graph.reshape(dk as Value, T * B, kvWidth))
    tape.addGradient(input.v, graph.reshape(dv as Value, T * B, kvWidth))
  })
  return y
}

/** The rows of the mask that belong to each block of queries, without the keys after them. */
export function maskBlocks(graph: Graph, mask_B11TT: Value, T: number, blocks: number): Value[] {
  if (blocks === 1) return [mask_B11TT]
  const size = T / blocks
  return Array.from({ length: blocks }, (_, i) =>
    graph.op('Slice', [
      mask_B11TT,
      graph.int64s(i * size, 0),
      graph.int64s((i + 1) * size, (i + 1) * size),
      graph.int64s(3, 4),
    ]),
  )
}

/** Positions [from, to) of the first axis. */
function slice(graph: Graph, x: Value, from: number, to: number, length: number): Value {
  if (from === 0 && to === length) return x
  return graph.op('Slice', [x, graph.int64s(from), graph.int64s(to), graph.int64s(0)])
}

function join(graph: Graph, parts: readonly Value[]): Value {
  return parts.length === 1 ? (parts[0] as Value) : graph.op('Concat', parts, { axis: 0 })
}

/** [B, K, G, t, h] -> [t, B, K, G, h] */
function toRows(graph: Graph, x_BKGth: Value): Value {
  return graph.transpose(x_BKGth, 3, 0, 1, 2, 4)
}

function sumGroups(graph: Graph, x_BKGTh: Value, groups: number): Value {
  return groups === 1 ? x_BKGTh : graph.op('ReduceSum', [x_BKGTh, graph.int64s(2)], { keepdims: 1 })
}

/** `longer` covers the first `known` positions that `sum` covers and more: adds sum to that prefix. */
function addPrefix(graph: Graph, sum: Value | undefined, longer: Value, known: number): Value {
  if (sum === undefined) return longer
  const head = graph.op('Slice', [longer, graph.int64s(0), graph.int64s(known), graph.int64s(0)])
  const tail = graph.op('Slice', [longer, graph.int64s(known), graph.int64s(2 ** 31), graph.int64s(0)])
  return graph.op('Concat', [graph.op('Add', [sum, head]), tail], { axis: 0 })
}
