/** SOAP in plain float64 loops, after the paper (arXiv 2409.11321, Alg. 3 and 4): what tests compare with. */

export type Matrix = readonly (readonly number[])[]

export interface ReferenceOptions {
  readonly beta1: number
  readonly beta2: number
  readonly eps: number
  readonly frequency: number
}

/** One parameter [m, n]; eigenvectors are columns. A side that is not rotated is null; a gain is [1, n] with neither. */
export interface ReferenceState {
  readonly options: ReferenceOptions
  w: Matrix
  m: Matrix
  v: Matrix
  l: Matrix | null
  r: Matrix | null
  ql: Matrix | null
  qr: Matrix | null
}

export const zeros = (rows: number, columns: number): number[][] =>
  Array.from({ length: rows }, () => Array<number>(columns).fill(0))

export const multiply = (a: Matrix, b: Matrix): number[][] =>
  a.map((row) => (b[0] ?? []).map((_, j) => row.reduce((sum, x, k) => sum + x * (b[k]?.[j] as number), 0)))

export const transpose = (a: Matrix): number[][] =>
  (a[0] ?? []).map((_, j) => a.map((row) => row[j] as number))

const zip = (a: Matrix, b: Matrix, f: (x: number, y: number) => number): number[][] =>
  a.map((row, i) => row.map((x, j) => f(x, b[i]?.[j] as number)))

const intoBasis = ({ ql, qr }: ReferenceState, x: Matrix): Matrix => {
  const left = ql === null ? x : multiply(transpose(ql), x)
  return qr === null ? left : multiply(left, qr)
}
const outOfBasis = ({ ql, qr }: ReferenceState, x: Matrix): Matrix => {
  const left = ql === null ? x : multiply(ql, x)
  return qr === null ? left : multiply(left, transpose(qr))
}

/** L and R take in a gradient. */
export function accumulate(state: ReferenceState, g: Matrix): void {
  const { beta2 } = state.options
  const into = (old: Matrix, product: Matrix): Matrix =>
    zip(old, product, (x, y) => beta2 * x + (1 - beta2) * y)
  if (state.l !== null) state.l = into(state.l, multiply(g, transpose(g)))
  if (state.r !== null) state.r = into(state.r, multiply(transpose(g), g))
}

/** Adam's step t (from 1), what follows it included. */
export function referenceStep(
  state: ReferenceState,
  g: Matrix,
  { t, lr, decay }: { readonly t: number; readonly lr: number; readonly decay: number },
): void {
  const { beta1, beta2, eps, frequency } = state.options
  const rotated = intoBasis(state, g)
  state.m = zip(state.m, rotated, (m, x) => beta1 * m + (1 - beta1) * x)
  state.v = zip(state.v, rotated, (v, x) => beta2 * v + (1 - beta2) * x * x)
  const direction = zip(state.m, state.v, (m, v) => m / (Math.sqrt(v) + eps))
  const rate = (lr * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t)
  const moved = zip(state.w, outOfBasis(state, direction), (w, u) => w - rate * u)
  state.w = moved.map((row) => row.map((w) => w - lr * decay * w))
  accumulate(state, g)
  if (t % frequency !== 0) return
  const plain = outOfBasis(state, state.m)
  if (state.l !== null && state.ql !== null) {
    const { q, order } = powerIteration(state.l, state.ql)
    state.ql = q
    state.v = order.map((i) => state.v[i] as readonly number[])
  }
  if (state.r !== null && state.qr !== null) {
    const { q, order } = powerIteration(state.r, state.qr)
    state.qr = q
    state.v = state.v.map((row) => order.map((j) => row[j] as number))
  }
  state.m = intoBasis(state, plain)
}

const dot = (x: readonly number[], y: readonly number[]): number =>
  x.reduce((sum, value, i) => sum + value * (y[i] as number), 0)

/** The orthonormal columns of a · q, its columns sorted by the Rayleigh quotients of q. */
function powerIteration(a: Matrix, q: Matrix): { q: Matrix; order: number[] } {
  const columns = transpose(q)
  const images = transpose(multiply(a, q))
  const quotients = columns.map((column, j) => dot(column, images[j] as number[]))
  const order = [...quotients.keys()].toSorted((i, j) => (quotients[j] as number) - (quotients[i] as number))
  const basis: number[][] = []
  for (const j of order) {
    let column = images[j] as number[]
    // Gram-Schmidt, twice.
    for (let pass = 0; pass < 2; pass++)
      for (const unit of basis) {
        const along = dot(column, unit)
        column = column.map((x, i) => x - along * (unit[i] as number))
      }
    const length = Math.sqrt(dot(column, column))
    basis.push(column.map((x) => x / length))
  }
  return { q: transpose(basis), order }
}
