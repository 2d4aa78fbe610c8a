/** Log-probabilities of drawn tokens and of the likeliest others, from the logits that they were drawn from. */
import type { TokenLogprobs } from '../engine.ts'
import type { Kernels } from './kernels.ts'

interface DrawnRows {
  /** [rows] */
  readonly tokens: Int32Array
  /** [rows] how many of the likeliest are wanted; null where no log-probability is. */
  readonly tops: readonly (number | null)[]
  readonly vocabSize: number
}

/** Of each row of logits [rows, V], in nats. */
export function tokenLogprobs(
  k: Kernels,
  logits: Float32Array,
  { tokens, tops, vocabSize }: DrawnRows,
): readonly (TokenLogprobs | null)[] {
  if (tops.every((count) => count === null)) return tops.map(() => null)
  const likeliest = tops.map((count, row) =>
    count === null ? [] : largest(logits.subarray(row * vocabSize, (row + 1) * vocabSize), count),
  )
  const targets: number[] = []
  const starts = [0]
  for (const [row, count] of tops.entries()) {
    if (count !== null) targets.push(tokens[row] as number, ...(likeliest[row] ?? []))
    starts.push(targets.length)
  }
  const found = new Float32Array(targets.length)
  k.logprobs(found, logits, Int32Array.from(starts), Int32Array.from(targets), tops.length, vocabSize)
  return tops.map((count, row) => {
    if (count === null) return null
    const [logprob = 0, ...others] = found.subarray(starts[row], starts[row + 1])
    return {
      logprob,
      top: others.map((own, i) => ({ token: likeliest[row]?.[i] ?? 0, logprob: own })),
    }
  })
}

/** Indices of the `count` largest values, the largest first; of equals the first. One pass; `count` is small. */
export function largest(values: Float32Array, count: number): number[] {
  const best: number[] = []
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (best.length === count && !(value > (values[best[count - 1] ?? 0] ?? Infinity))) continue
    let at = best.length
    while (at > 0 && value > (values[best[at - 1] as number] as number)) at--
    best.splice(at, 0, i)
    if (best.length > count) best.pop()
  }
  return best
}
