/** The native kernels: matrix products, the layers of a transformer, attention and the optimizers on 32-bit arrays (native/*.c). */
import { createRequire } from 'node:module'
import { LabError } from '../../errors.ts'

type Floats = Float32Array
type Ints = Int32Array
/** 1 for yes: kernels take numbers. */
type Flag = 0 | 1

/**
 * Matrices are row-major; a stride is the distance of two rows in elements. N rows (tokens), D widths, H heads, h width of a
 * head. A kernel throws an Error, and writes nothing, if an array is too short or an index out of range. Every result has the
 * same bits with any number of threads (native/kernel.h says why).
 */
export interface Kernels {
  readonly instructionSet: 'avx2' | 'avx512' | 'neon'
  /**
   * Threads that the calls of this JavaScript thread share their work among, 1 to 64; 1 at first. Where the system gives no more,
   * their number stays as it is.
   */
  setThreads(threads: number): void
  /** Zeros that begin at a cache line, as the kernels like their arrays best. */
  allocate(count: number): Floats

  /** c [rows, columns] = a b, or += alpha a b; a is [rows, depth] or its transpose, b [depth, columns] or its transpose. */
  gemm(
    c: Floats,
    a: Floats,
    b: Floats,
    rows: number,
    columns: number,
    depth: number,
    cStride: number,
    aStride: number,
    bStride: number,
    transA: Flag,
    transB: Flag,
    accumulate: Flag,
    alpha: number,
  ): void
  /** Elements that a packed b takes. */
  gemmPackedSize(columns: number, depth: number): number
  /** A b that many products use, in the order in which they read it. The order is this processor's own: never stored. */
  gemmPack(packed: Floats, b: Floats, columns: number, depth: number, bStride: number, transB: Flag): void
  /** The bits of `gemm` with that b and alpha 1. */
  gemmPacked(
    c: Floats,
    a: Floats,
    packed: Floats,
    rows: number,
    columns: number,
    depth: number,
    cStride: number,
    aStride: number,
    accumulate: Flag,
  ): void

  /** Normalises `heads` vectors of `width` in each row; `inverse` [rows · heads] takes 1 / root mean square. y may be x. */
  rmsNorm(
    y: Floats,
    x: Floats,
    gain: Floats,
    inverse: Floats | null,
    rows: number,
    heads: number,
    width: number,
    yStride: number,
    xStride: number,
    epsilon: number,
  ): void
  /** dgain += its gradient; dx = or += its gradient. dx may be dy if it does not accumulate. */
  rmsNormBackward(
    dx: Floats,
    dgain: Floats | null,
    dy: Floats,
    x: Floats,
    gain: Floats,
    inverse: Floats,
    rows: number,
    heads: number,
    width: number,
    dStride: number,
    xStride: number,
    accumulate: Flag,
  ): void
  /** Turns the heads of each row by its position, in place; sign -1 turns back. Tables are [tableRows, headDim / 2]. */
  rope(
    x: Floats,
    positions: Ints,
    cos: Floats,
    sin: Floats,
    rows: number,
    heads: number,
    headDim: number,
    stride: number,
    tableRows: number,
    sign: 1 | -1,
  ): void
  /** y [rows, width] = silu(gate) · up, x [rows, 2 · width] = gate beside up. */
  swiglu(y: Floats, x: Floats, rows: number, width: number): void
  /** y holds its gradient and becomes silu(gate) · up; x becomes its gradient. */
  swigluBackward(y: Floats, x: Floats, rows: number, width: number): void
  /** y[r] = table[ids[r]] */
  gather(y: Floats, table: Floats, ids: Ints, rows: number, width: number, tableRows: number): void
  /** table[ids[r]] += x[r], in the order of r. */
  scatterAdd(table: Floats, x: Floats, ids: Ints, rows: number, width: number, tableRows: number): void
  /** y[r] += bias */
  addBias(y: Floats, bias: Floats, rows: number, width: number, stride: number): void
  /** sum += the rows of x */
  sumRows(sum: Floats, x: Floats, rows: number, width: number, stride: number): void
  /** nll [rows] in nats; with weights the logits become the gradient of sum(weights · nll), else exp is not stored. */
  crossEntropy(
    nll: Floats,
    logits: Floats,
    targets: Ints,
    weights: Floats | null,
    rows: number,
    width: number,
  ): void
  /**
   * o [rows, H·h] for rows of qkv [rows, (H + 2 K)·h] = queries, keys, values. `starts` [documents + 1] are the rows at which
   * documents begin, and the end: a row sees its own document up to itself. logSum [rows, H] is for the way back.
   */
  attention(
    o: Floats,
    logSum: Floats | null,
    qkv: Floats,
    starts: Ints,
    documents: number,
    heads: number,
    kvHeads: number,
    headDim: number,
  ): void
  attentionBackward(
    dqkv: Floats,
    qkv: Floats,
    o: Floats,
    dout: Floats,
    logSum: Floats,
    starts: Ints,
    documents: number,
    heads: number,
    kvHeads: number,
    headDim: number,
  ): void

  /**
   * o [rows, H·h] for rows that come in runs: rows [starts[i], starts[i + 1]) of qkv stand in slot slots[i], after the pasts[i]
   * positions that it holds; no two runs share a slot. Their keys and values go into the caches, and a row sees its slot up to
   * itself, with the bits that `attention` gives it in the whole document. A cache has slotCount · K · capacity · h elements,
   * in an order of its own; the capacity of a slot is a multiple of 16.
   */
  cachedAttention(
    o: Floats,
    qkv: Floats,
    keys: Floats,
    values: Floats,
    starts: Ints,
    slots: Ints,
    pasts: Ints,
    runs: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    slotCount: number,
    capacity: number,
  ): void
  /** Copies the first positions of slot `from` into the first `slotCount` slots. */
  cacheSpread(
    keys: Floats,
    values: Floats,
    from: number,
    positions: number,
    kvHeads: number,
    headDim: number,
    slotCount: number,
    capacity: number,
  ): void
  /**
   * A token for each row of logits [rows, width]. An inverse temperature of 0 is greedy, the first of equals; a top-p below 1
   * draws from the smallest set of likeliest tokens that has this probability. `uniforms` are float64 in [0, 1), two elements each.
   * Throws if a logit is not a finite number, as `logprobs` does; what the other rows came to is then of no use.
   */
  sampleTokens(
    tokens: Ints,
    logits: Floats,
    inverseTemperatures: Floats,
    topPs: Floats,
    uniforms: Ints,
    rows: number,
    width: number,
  ): void
  /** y: log-probabilities (nats) of tokens [starts[r], starts[r + 1]) after row r of logits [rows, width]. */
  logprobs(y: Floats, logits: Floats, starts: Ints, tokens: Ints, rows: number, width: number): void

  /** One AdamW update of `count` parameters that share their decay (native/optimizer.c has the formula). */
  adamw(
    weights: Floats,
    gradient: Floats,
    m: Floats,
    v: Floats,
    count: number,
    gradScale: number,
    beta1: number,
    rest1: number,
    beta2: number,
    rest2: number,
    epsilon: number,
    keep: number,
    stepSize: number,
    correction2: number,
  ): void
  /** SOAP's moments in the rotated basis: g becomes the direction, weights decay (native/optimizer.c has the formula). */
  soapMoments(
    weights: Floats,
    g: Floats,
    m: Floats,
    v: Floats,
    count: number,
    gradScale: number,
    beta1: number,
    rest1: number,
    beta2: number,
    rest2: number,
    epsilon: number,
    keep: number,
  ): void
  /** In float64. */
  sumOfSquares(x: Floats, count: number): number
  /** x *= factor */
  scale(x: Floats, count: number, factor: number): void
  copy(x: Floats, y: Floats, count: number): void

  /**
   * Eigenvectors of `count` symmetric matrices [n, n] as rows, largest eigenvalue first, computed in float64. Returns how many
   * matrices it failed on: those that are not finite.
   */
  eigenvectors(vectors: Floats, matrices: Floats, count: number, n: number): number
  /** Rows of `count` matrices [n, n] become orthonormal, in order, each of either sign (the transposed Q of a QR). */
  orthonormalRows(x: Floats, count: number, n: number): void
  /** y[r] = a[r] · b[r] */
  rowDots(y: Floats, a: Floats, b: Floats, rows: number, width: number): void
  /** y[r][j] = x[r][order[j]] */
  takeColumns(y: Floats, x: Floats, order: Ints, rows: number, width: number): void
  /** Runs `rounds` of independent fused multiply-adds on the calling thread; returns the floating-point operations done. */
  fmaPeak(rounds: number): number
}

/** Raised when any kernel gives other bits. */
export const KERNELS_VERSION = 1

/** The kernels for this machine. Throws ENGINE where there are none. */
export function loadKernels(): Kernels {
  const platform = `${process.platform}-${process.arch}`
  const require = createRequire(import.meta.url)
  try {
    return require(`./native/prebuilt/${platform}.node`) as Kernels
  } catch (error) {
    throw new LabError('ENGINE', `the embedded engine cannot run on this machine (${platform})`, {
      hint: 'It needs Linux or macOS, and an x86 processor with AVX2 (2013 and later) or a 64-bit ARM one.',
      cause: error,
    })
  }
}
