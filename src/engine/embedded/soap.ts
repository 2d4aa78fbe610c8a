/**
 * SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., arXiv 2409.11321, Alg. 3), in the order of operations
 * of the authors' own implementation.
 *
 * A matrix with gradient G [m, n] has moving averages (of rate beta2) of G Gᵀ and Gᵀ G, and the eigenvectors of each, as the rows
 * of P and Q. Adam's moments are those of P G Qᵀ; its direction D goes back as Pᵀ D Q. Step 1 changes no parameter: it finds P
 * and Q by a full decomposition. Step t + 1 is Adam's t-th. After it the averages take G in, and where t is a multiple of
 * `precondition_frequency` the bases are refreshed by one power iteration: their rows are put in the order of their estimated
 * eigenvalues (the second moment moves along), multiplied by the average and made orthonormal, and the first moment is turned
 * from the old basis to the new one.
 *
 * Epsilon stands beside the root of the second moment before bias correction. Decay is decoupled, comes after the update, and is
 * for matrices only. Gains, biases and matrices beyond the limits (soap-bases.ts) are updated by the same Adam without a basis.
 */
import { LabError } from '../../errors.ts'
import type { ParameterSpec } from '../../model/config.ts'
import type { Recipe } from '../engine.ts'
import { decays } from './adamw.ts'
import type { Kernels } from './kernels.ts'
import type { Optimizer, Update } from './optimizer.ts'
import { openBases, type Bases, type Basis, type Rotated, type SoapLimits, workSize } from './soap-bases.ts'

/** What of a recipe SOAP reads. */
export interface SoapRecipe extends SoapLimits, Pick<Recipe, 'beta1' | 'beta2' | 'eps' | 'weight_decay'> {
  /** Adam's steps from one refresh of the bases to the next. */
  readonly precondition_frequency: number
}

interface Soap {
  readonly k: Kernels
  readonly recipe: SoapRecipe
  readonly bases: Bases
  readonly m: Float32Array
  readonly v: Float32Array
  /** Two arrays of `workSize` elements. */
  readonly work: readonly [Float32Array, Float32Array]
}

export function openSoap(k: Kernels, recipe: SoapRecipe, specs: readonly ParameterSpec[]): Optimizer {
  const last = specs.at(-1)
  const count = last === undefined ? 0 : last.offset + last.size
  const bases = openBases(k, specs, recipe)
  const size = workSize(bases.rotated)
  const soap: Soap = {
    k,
    recipe,
    bases,
    m: k.allocate(count),
    v: k.allocate(count),
    work: [k.allocate(size), k.allocate(size)],
  }
  return {
    state: { exp_avg: soap.m, exp_avg_sq: soap.v, ...bases.state },
    step: (update) => {
      if (update.step === 1) begin(soap, update)
      else advance(soap, update)
    },
  }
}

/** Step 1: the bases of the first gradient. */
function begin(soap: Soap, update: Update): void {
  for (const matrix of soap.bases.rotated) average(soap, matrix, update)
  for (const { size, count, averages, vectors } of soap.bases.groups) {
    if (soap.k.eigenvectors(vectors, averages, count, size) > 0) throw diverged(update.step)
  }
}

function advance(soap: Soap, update: Update): void {
  const t = update.step - 1
  updatePlain(soap, update, t)
  for (const matrix of soap.bases.rotated) {
    updateRotated(soap, matrix, update, t)
    average(soap, matrix, update)
  }
  if (t % soap.recipe.precondition_frequency === 0) refresh(soap, update.step)
}

/** average = beta2 average + (1 - beta2) G Gᵀ, or Gᵀ G on the right. */
function average({ k, recipe }: Soap, matrix: Rotated, { gradient, gradScale }: Update): void {
  const { rows, columns, left, right } = matrix
  const g = gradient.subarray(matrix.offset, matrix.offset + matrix.size)
  const rest = (1 - recipe.beta2) * gradScale ** 2
  if (left !== null) {
    k.scale(left.average, rows * rows, recipe.beta2)
    k.gemm(left.average, g, g, rows, rows, columns, rows, columns, columns, 0, 1, 1, rest)
  }
  if (right !== null) {
    k.scale(right.average, columns * columns, recipe.beta2)
    k.gemm(right.average, g, g, columns, columns, rows, columns, columns, columns, 1, 0, 1, rest)
  }
}

function updateRotated(soap: Soap, matrix: Rotated, update: Update, t: number): void {
  const { k, recipe, work } = soap
  const { beta1, beta2, eps } = recipe
  const { gradient, weights, gradScale, lr } = update
  const keep = 1 - lr * recipe.weight_decay
  const stepSize = (lr * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t)
  const [first, direction] = work
  for (const { from, to, rows } of tilesOf(matrix)) {
    const w = weights.subarray(from, to)
    const m = soap.m.subarray(from, to)
    const v = soap.v.subarray(from, to)
    rotate(k, matrix, { y: direction, x: gradient.subarray(from, to), rows, between: first })
    k.soapMoments(w, direction, m, v, to - from, gradScale, beta1, 1 - beta1, beta2, 1 - beta2, eps, keep)
    // keep (w - stepSize · u) = keep w - keep stepSize · u; the kernel has done the first term.
    rotateBack(k, matrix, { y: w, x: direction, rows, between: first, add: -keep * stepSize })
  }
}

/** The same Adam without a basis. torch's AdamW corrects v before its root: epsilon is divided by the same factor here. */
function updatePlain({ k, recipe, bases, m, v }: Soap, update: Update, t: number): void {
  const { beta1, beta2, eps } = recipe
  const { weights, gradient, gradScale, lr } = update
  for (const spec of bases.plain) {
    const to = spec.offset + spec.size
    const keep = decays(spec) ? 1 - lr * recipe.weight_decay : 1
    k.adamw(
      weights.subarray(spec.offset, to),
      gradient.subarray(spec.offset, to),
      m.subarray(spec.offset, to),
      v.subarray(spec.offset, to),
      spec.size,
      gradScale,
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      eps / Math.sqrt(1 - beta2 ** t),
      keep,
      (keep * lr) / (1 - beta1 ** t),
      1 / (1 - beta2 ** t),
    )
  }
}

/** One power iteration of every basis; the moments move into the new one. */
function refresh(soap: Soap, step: number): void {
  const { k, m, work, bases } = soap
  const [first, second] = work
  for (const matrix of bases.rotated) {
    for (const { from, to, rows } of tilesOf(matrix)) {
      rotateBack(k, matrix, { y: second, x: m.subarray(from, to), rows, between: first, add: null })
      k.copy(m.subarray(from, to), second, to - from)
    }
    if (matrix.left !== null) reorderRows(soap, matrix, iterate(soap, matrix.left, step))
    if (matrix.right !== null) reorderColumns(soap, matrix, iterate(soap, matrix.right, step))
  }
  for (const { size, count, vectors } of bases.groups) k.orthonormalRows(vectors, count, size)
  for (const matrix of bases.rotated) {
    for (const { from, to, rows } of tilesOf(matrix)) {
      rotate(k, matrix, { y: second, x: m.subarray(from, to), rows, between: first })
      k.copy(m.subarray(from, to), second, to - from)
    }
  }
}

/** vectors = vectors · average, its rows in the order of the estimated eigenvalues, largest first: the order is returned. */
function iterate({ k, work }: Soap, { size, average: symmetric, vectors }: Basis, step: number): Int32Array {
  const [product] = work
  k.gemm(product, vectors, symmetric, size, size, size, size, size, size, 0, 0, 0, 1)
  const estimates = new Float32Array(size)
  k.rowDots(estimates, vectors, product, size, size)
  if (!estimates.every(Number.isFinite)) throw diverged(step)
  const order = Int32Array.from(estimates.keys()).toSorted(
    (a, b) => (estimates[b] as number) - (estimates[a] as number) || a - b,
  )
  k.gather(vectors, product, order, size, size, size)
  return order
}

function reorderRows(
  { k, v, work }: Soap,
  { offset, size, rows, columns }: Rotated,
  order: Int32Array,
): void {
  const [moved] = work
  const own = v.subarray(offset, offset + size)
  k.gather(moved, own, order, rows, columns, rows)
  k.copy(own, moved, size)
}

function reorderColumns({ k, v, work }: Soap, matrix: Rotated, order: Int32Array): void {
  const [moved] = work
  for (const { from, to, rows } of tilesOf(matrix)) {
    const own = v.subarray(from, to)
    k.takeColumns(moved, own, order, rows, matrix.columns)
    k.copy(own, moved, to - from)
  }
}

interface Rotation {
  /** [rows, columns], another array than x. */
  readonly y: Float32Array
  readonly x: Float32Array
  readonly rows: number
  /** Room for a matrix that is rotated on both sides. */
  readonly between: Float32Array
}

/** y = P x Qᵀ */
function rotate(k: Kernels, { columns, left, right }: Rotated, { y, x, rows, between }: Rotation): void {
  const half = left === null || right === null ? y : between
  if (left !== null) k.gemm(half, left.vectors, x, rows, columns, rows, columns, rows, columns, 0, 0, 0, 1)
  if (right !== null) {
    const from = left === null ? x : half
    k.gemm(y, from, right.vectors, rows, columns, columns, columns, columns, columns, 0, 1, 0, 1)
  }
}

/** y = Pᵀ x Q, or y += add · Pᵀ x Q */
function rotateBack(
  k: Kernels,
  { columns, left, right }: Rotated,
  { y, x, rows, between, add }: Rotation & { readonly add: number | null },
): void {
  const accumulate = add === null ? 0 : 1
  const alpha = add ?? 1
  if (right === null) {
    if (left !== null)
      k.gemm(y, left.vectors, x, rows, columns, rows, columns, rows, columns, 1, 0, accumulate, alpha)
    return
  }
  if (left !== null) k.gemm(between, left.vectors, x, rows, columns, rows, columns, rows, columns, 1, 0, 0, 1)
  const from = left === null ? x : between
  k.gemm(y, from, right.vectors, rows, columns, columns, columns, columns, columns, 0, 0, accumulate, alpha)
}

/** Parts of a matrix in the flat vector, some rows each. */
function tilesOf({
  offset,
  rows,
  columns,
  rowsAtOnce,
}: Rotated): { from: number; to: number; rows: number }[] {
  return Array.from({ length: Math.ceil(rows / rowsAtOnce) }, (_, i) => {
    const own = Math.min(rowsAtOnce, rows - i * rowsAtOnce)
    const from = offset + i * rowsAtOnce * columns
    return { from, to: from + own * columns, rows: own }
  })
}

function diverged(step: number): LabError {
  return new LabError('ENGINE', `step ${step}: the averages of the gradient's products are not finite`, {
    hint: 'Lower the learning rate, or `clip`.',
  })
}
