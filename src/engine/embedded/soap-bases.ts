/** Which sides of which matrices SOAP rotates, and the arrays that hold their averages and bases. */
import type { ParameterSpec } from '../../model/config.ts'
import type { RecipeOptimizer } from '../engine.ts'
import type { Kernels } from './kernels.ts'

/** What of a recipe decides on the sides. */
export type SoapLimits = Pick<
  Extract<RecipeOptimizer, { optimizer: 'soap' }>,
  'max_precond_dim' | 'one_sided_above'
>
/** Elements of a matrix that are worked on at once where its rows are independent. */
const TILE = 1 << 20

/** A side of one matrix. */
export interface Basis {
  readonly size: number
  /** Moving average of G Gᵀ (left) or Gᵀ G (right), [size, size]. */
  readonly average: Float32Array
  /** Its eigenvectors as rows, [size, size]. */
  readonly vectors: Float32Array
}

/** A matrix [rows, columns], and which of its sides are rotated. */
interface RotatedShape {
  readonly rows: number
  readonly columns: number
  readonly left: unknown
  readonly right: unknown
  /** Rows that are worked on at once: all of them if the left side is rotated. */
  readonly rowsAtOnce: number
}

/** A matrix that is rotated on one side or both. */
export interface Rotated extends ParameterSpec, RotatedShape {
  readonly left: Basis | null
  readonly right: Basis | null
}

/** All sides of one size, behind each other. */
export interface BasisGroup {
  readonly size: number
  readonly count: number
  readonly averages: Float32Array
  readonly vectors: Float32Array
}

export interface Bases {
  readonly rotated: readonly Rotated[]
  /** Gains, biases and matrices beyond the limits. */
  readonly plain: readonly ParameterSpec[]
  readonly groups: readonly BasisGroup[]
  /** `soap.<parameter>.GG0` and `.Q0` for the left side, `.GG1` and `.Q1` for the right. */
  readonly state: Readonly<Record<string, Float32Array>>
}

/** The left side is as long as there are rows, the right one as there are columns. */
export function rotatedShape(
  { shape }: Pick<ParameterSpec, 'shape'>,
  { max_precond_dim: most, one_sided_above: both }: SoapLimits,
): RotatedShape & { readonly left: boolean; readonly right: boolean } {
  const [rows = 0, columns = 0] = shape
  const small = Math.max(rows, columns) <= both
  const left = shape.length === 2 && rows <= most && (small || rows < columns)
  const right = shape.length === 2 && columns <= most && (small || rows >= columns)
  const rowsAtOnce = left ? rows : Math.min(rows, Math.max(1, Math.floor(TILE / columns)))
  return { rows, columns, left, right, rowsAtOnce }
}

export function openBases(k: Kernels, specs: readonly ParameterSpec[], limits: SoapLimits): Bases {
  const counts = new Map<number, number>()
  const count = (size: number): unknown => counts.set(size, (counts.get(size) ?? 0) + 1)
  for (const { rows, columns, left, right } of specs.map((spec) => rotatedShape(spec, limits))) {
    if (left) count(rows)
    if (right) count(columns)
  }
  const groups = new Map(
    [...counts].map(([size, count]) => [
      size,
      {
        size,
        count,
        averages: k.allocate(count * size * size),
        vectors: k.allocate(count * size * size),
      },
    ]),
  )
  const taken = new Map<number, number>()
  const state: Record<string, Float32Array> = {}
  const take = (name: string, side: 0 | 1, size: number): Basis => {
    const { averages, vectors } = groups.get(size) as BasisGroup
    const from = (taken.get(size) ?? 0) * size * size
    taken.set(size, (taken.get(size) ?? 0) + 1)
    const basis = {
      size,
      average: averages.subarray(from, from + size * size),
      vectors: vectors.subarray(from, from + size * size),
    }
    state[`soap.${name}.GG${side}`] = basis.average
    state[`soap.${name}.Q${side}`] = basis.vectors
    return basis
  }
  const rotated: Rotated[] = []
  const plain: ParameterSpec[] = []
  for (const spec of specs) {
    const shape = rotatedShape(spec, limits)
    const left = shape.left ? take(spec.name, 0, shape.rows) : null
    const right = shape.right ? take(spec.name, 1, shape.columns) : null
    if (left === null && right === null) plain.push(spec)
    else rotated.push({ ...spec, ...shape, left, right })
  }
  return { rotated, plain, groups: [...groups.values()], state }
}

/** Elements of each of the two work arrays. */
export function workSize(matrices: readonly RotatedShape[]): number {
  return matrices.reduce(
    (most, { rows, columns, left, right, rowsAtOnce }) =>
      Math.max(most, rowsAtOnce * columns, left ? rows * rows : 0, right ? columns * columns : 0),
    0,
  )
}
