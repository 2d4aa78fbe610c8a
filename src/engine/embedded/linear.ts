/** A linear layer, forward and backward: a weight that is trained or frozen, and LoRA adapters beside it (Hu et al. 2021). */
import { LabError } from '../../errors.ts'
import type { Kernels } from './kernels.ts'

/** Adds scale · x Aᵀ Bᵀ to some of the outputs. */
export interface Adapter {
  /** First output that it adds to, and how many. */
  readonly from: number
  readonly outputs: number
  readonly rank: number
  /** alpha / rank */
  readonly scale: number
  /** [rank, inputs] */
  readonly a: Float32Array
  /** [outputs, rank] */
  readonly b: Float32Array
  readonly da: Float32Array
  readonly db: Float32Array
}

/** The A of all adapters of a layer as one matrix: they read the same input. */
export interface AdapterStack {
  /** The sum of their ranks. */
  readonly rank: number
  /** [rank, inputs] */
  readonly a: Float32Array
  readonly da: Float32Array
}

export interface Linear {
  readonly inputs: number
  readonly outputs: number
  /** [outputs, inputs] */
  readonly weight: Float32Array
  /** Null for a frozen weight: its gradient is never computed. */
  readonly gradient: Float32Array | null
  readonly adapters: readonly Adapter[]
  /** Null without adapters. */
  readonly stack: AdapterStack | null
}

/** The adapters' A and its gradient as one matrix; they lie behind each other. */
export function stackAdapters(adapters: readonly Adapter[]): AdapterStack | null {
  const [first] = adapters
  if (first === undefined) return null
  const rank = adapters.reduce((sum, adapter) => sum + adapter.rank, 0)
  return { rank, a: joined(adapters.map(({ a }) => a)), da: joined(adapters.map(({ da }) => da)) }
}

/** Arrays that lie behind each other as one. */
function joined(parts: readonly Float32Array[]): Float32Array {
  const [{ buffer, byteOffset }] = parts as [Float32Array]
  let end = byteOffset
  for (const part of parts) {
    if (part.buffer !== buffer || part.byteOffset !== end)
      throw new LabError('INTERNAL', 'the adapters of a layer do not lie together')
    end += part.byteLength
  }
  return new Float32Array(buffer, byteOffset, (end - byteOffset) / 4)
}

/** Room for what passes through the adapters of a layer: [rows, rank of the stack], twice. */
export interface AdapterScratch {
  readonly down: Float32Array
  readonly back: Float32Array
}

/** y [rows, outputs] = x Wᵀ, or += where `accumulate`. */
export function linearForward(
  k: Kernels,
  { inputs, outputs, weight, adapters, stack }: Linear,
  { y, x, rows, scratch: { down }, accumulate = 0 }: LinearForward,
): void {
  k.gemm(y, x, weight, rows, outputs, inputs, outputs, inputs, inputs, 0, 1, accumulate, 1)
  if (stack === null) return
  k.gemm(down, x, stack.a, rows, stack.rank, inputs, stack.rank, inputs, inputs, 0, 1, 0, 1)
  let column = 0
  for (const { from, outputs: some, rank, scale, b } of adapters) {
    const own = down.subarray(column)
    k.gemm(y.subarray(from), own, b, rows, some, rank, outputs, stack.rank, rank, 0, 1, 1, scale)
    column += rank
  }
}

export interface LinearForward {
  readonly y: Float32Array
  readonly x: Float32Array
  readonly rows: number
  readonly scratch: AdapterScratch
  readonly accumulate?: 0 | 1
}

export interface InputGradient {
  /** [rows, outputs] */
  readonly dy: Float32Array
  /** [rows, inputs], overwritten */
  readonly dx: Float32Array
  readonly rows: number
  readonly scratch: AdapterScratch
}

/** The gradient of x Aᵀ, into scratch.back: the two functions below read it there. */
export function adapterGradient(
  k: Kernels,
  { outputs, adapters, stack }: Linear,
  { dy, rows, scratch: { back } }: Omit<InputGradient, 'dx'>,
): void {
  if (stack === null) return
  let column = 0
  for (const { from, outputs: some, rank, scale, b } of adapters) {
    const own = back.subarray(column)
    k.gemm(own, dy.subarray(from), b, rows, rank, some, stack.rank, outputs, rank, 0, 0, 0, scale)
    column += rank
  }
}

/** dx = dy W, and what comes back through the adapters, after `adapterGradient` of the same dy. */
export function inputGradient(
  k: Kernels,
  { inputs, outputs, weight, stack }: Linear,
  { dy, dx, rows, scratch: { back } }: InputGradient,
): void {
  k.gemm(dx, dy, weight, rows, inputs, outputs, inputs, outputs, inputs, 0, 0, 0, 1)
  if (stack !== null)
    k.gemm(dx, back, stack.a, rows, inputs, stack.rank, inputs, stack.rank, inputs, 0, 0, 1, 1)
}

export interface WeightGradients {
  /** [rows, outputs] */
  readonly dy: Float32Array
  /** [rows, inputs], as in the forward pass */
  readonly x: Float32Array
  readonly rows: number
  readonly scratch: AdapterScratch
  /** 0 for the first rows of a step: gradients are overwritten. */
  readonly accumulate: 0 | 1
}

/** Gradients of what is trained: the weight, or the adapters beside it, after `adapterGradient` of the same dy. */
export function weightGradients(
  k: Kernels,
  { inputs, outputs, gradient, adapters, stack }: Linear,
  { dy, x, rows, scratch: { down, back }, accumulate }: WeightGradients,
): void {
  if (gradient !== null)
    k.gemm(gradient, dy, x, outputs, inputs, rows, inputs, outputs, inputs, 1, 0, accumulate, 1)
  if (stack === null) return
  const { rank: all, a, da } = stack
  k.gemm(da, back, x, all, inputs, rows, inputs, all, inputs, 1, 0, accumulate, 1)
  k.gemm(down, x, a, rows, all, inputs, all, inputs, inputs, 0, 1, 0, 1)
  let column = 0
  for (const { from, outputs: some, rank, scale, db } of adapters) {
    const own = down.subarray(column)
    k.gemm(db, dy.subarray(from), own, some, rank, rows, rank, outputs, all, 1, 0, accumulate, scale)
    column += rank
  }
}
