/**
 * Differentiable layers of a Llama block on token rows: each emits its forward nodes and records its backward ones.
 * Rows are T-major (row = t * B + b), so that attention reads heads without moving data. Shape letters:
 * N rows, D model width, O outputs, F feed-forward width, H heads, R scored rows, V vocabulary.
 */
import type { Value } from './onnx.ts'
import type { Tape } from './tape.ts'

/** `rows_ND -> [N, V of weight]`: y = (x * gain) W^T with the gain of the norm before it folded into W [O, D]. */
export function linear(tape: Tape, x_ND: Value, weight_OD: Value, gain_D?: Value): Value {
  const { graph } = tape
  const folded_OD = gain_D === undefined ? weight_OD : graph.op('Mul', [weight_OD, gain_D])
  const y_NO = graph.matmul(x_ND, folded_OD, { transB: true })
  tape.onBackward(() => {
    const dy_NO = tape.gradientOf(y_NO)
    const dFolded_OD = graph.matmul(dy_NO, x_ND, { transA: true })
    if (gain_D === undefined) {
      tape.addGradient(weight_OD, dFolded_OD)
    } else {
      tape.addGradient(weight_OD, graph.op('Mul', [dFolded_OD, gain_D]))
      const product_OD = graph.op('Mul', [dFolded_OD, weight_OD])
      tape.addGradient(gain_D, graph.op('ReduceSum', [product_OD, graph.int64s(0)], { keepdims: 0 }))
    }
    tape.addGradient(x_ND, graph.matmul(dy_NO, folded_OD))
  })
  return y_NO
}

/** x / sqrt(mean(x²) + eps), without the gain: that is folded into the weights that read it. */
export function rmsNormalise(tape: Tape, x_ND: Value, width: number, epsilon: number): Value {
  const { graph } = tape
  const ones_D = graph.ones(width)
  const [y_ND, inverse_N1] = graph.ops('SimplifiedLayerNormalization', [x_ND, ones_D], 2, {
    axis: -1,
    epsilon: { float: epsilon },
    stash_type: 1,
  }) as [Value, Value]
  tape.onBackward(() => {
    const dy_ND = tape.gradientOf(y_ND)
    const along_N1 = graph.op('ReduceMean', [graph.op('Mul', [dy_ND, y_ND]), graph.int64s(-1)], {
      keepdims: 1,
    })
    const across_ND = graph.op('Sub', [dy_ND, graph.op('Mul', [y_ND, along_N1])])
    tape.addGradient(x_ND, graph.op('Mul', [across_ND, inverse_N1]))
  })
  return y_ND
}

/** silu(gate) * up. */
export function swiglu(tape: Tape, gate_NF: Value, up_NF: Value): Value {
  const { graph } = tape
  const sigmoid_NF = graph.op('Sigmoid', [gate_NF])
  const silu_NF = graph.op('Mul', [gate_NF, sigmoid_NF])
  const y_NF = graph.op('Mul', [silu_NF, up_NF])
  tape.onBackward(() => {
    const dy_NF = tape.gradientOf(y_NF)
    tape.addGradient(up_NF, graph.op('Mul', [dy_NF, silu_NF]))
    // silu' · up = s·up + silu·(1 - s)·up = s·(up - y) + y
    const inner_NF = graph.op('Mul', [sigmoid_NF, graph.op('Sub', [up_NF, y_NF])])
    tape.addGradient(gate_NF, graph.op('Mul', [dy_NF, graph.op('Add', [inner_NF, y_NF])]))
  })
  return y_NF
}

/** x + y. */
export function residual(tape: Tape, x_ND: Value, y_ND: Value): Value {
  const sum_ND = tape.graph.op('Add', [x_ND, y_ND])
  tape.onBackward(() => {
    const gradient_ND = tape.gradientOf(sum_ND)
    tape.addGradient(x_ND, gradient_ND)
    tape.addGradient(y_ND, gradient_ND)
  })
  return sum_ND
}

/** Rows of the table [V, D] by token id. */
export function embed(tape: Tape, table_VD: Value, ids_N: Value, vocabSize: number, width: number): Value {
  const { graph } = tape
  const x_ND = graph.op('Gather', [table_VD, ids_N])
  tape.onBackward(() => {
    const before_VD = tape.hasGradient(table_VD)
      ? tape.gradientOf(table_VD)
      : graph.op('ConstantOfShape', [graph.int64s(vocabSize, width)])
    const index_N1 = graph.op('Unsqueeze', [graph.op('Cast', [ids_N], { to: 7 }), graph.int64s(1)])
    const sum_VD = graph.op('ScatterND', [before_VD, index_N1, tape.gradientOf(x_ND)], { reduction: 'add' })
    tape.setGradient(table_VD, sum_VD)
  })
  return x_ND
}

/**
 * The rows [R] of x that are scored. `places` [N] is its inverse: the index among the scored rows, or R for the others,
 * so that the way back is a gather too (a scatter would run on one thread).
 */
export function pickRows(tape: Tape, x_ND: Value, rows_R: Value, places_N: Value, width: number): Value {
  const { graph } = tape
  const picked_RD = graph.op('Gather', [x_ND, rows_R])
  tape.onBackward(() => {
    const zero_1D = graph.floats([1, width], new Float32Array(width))
    const padded_RD = graph.op('Concat', [tape.gradientOf(picked_RD), zero_1D], { axis: 0 })
    tape.addGradient(x_ND, graph.op('Gather', [padded_RD, places_N]))
  })
  return picked_RD
}

/**
 * Negative log-likelihood [R, 1] of the targets in nats, log-sum-exp from the largest logit so that it cannot overflow.
 * The loss that is differentiated is sum(weights · nll); a weight of 0 leaves a row out.
 */
export function crossEntropy(tape: Tape, logits_RV: Value, targets_R1: Value, weights_R1: Value): Value {
  const { graph } = tape
  const last = graph.int64s(-1)
  const probs_RV = graph.op('Softmax', [logits_RV], { axis: -1 })
  // The largest probability is 1 / sum(exp(logit - max)): between 1/V and 1, so its logarithm is exact enough.
  const maxLogit_R1 = graph.op('ReduceMax', [logits_RV, last], { keepdims: 1 })
  const maxProb_R1 = graph.op('ReduceMax', [probs_RV, last], { keepdims: 1 })
  const target_R1 = graph.op('GatherElements', [logits_RV, targets_R1], { axis: 1 })
  const below_R1 = graph.op('Sub', [maxLogit_R1, target_R1])
  const nll_R1 = graph.op('Sub', [below_R1, graph.op('Log', [maxProb_R1])])
  tape.onBackward(() => {
    const weighted_RV = graph.op('Mul', [probs_RV, weights_R1])
    const minus_R1 = graph.op('Neg', [weights_R1])
    const dLogits_RV = graph.op('ScatterElements', [weighted_RV, targets_R1, minus_R1], {
      axis: 1,
      reduction: 'add',
    })
    tape.addGradient(logits_RV, dLogits_RV)
  })
  return nll_R1
}
