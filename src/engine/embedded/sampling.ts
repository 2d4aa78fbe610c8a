/** From a row of numbers to one token: greedy and nucleus (top-p) sampling, as pure functions of a uniform number. */

/** The index of the largest value; the first of equals. */
export function argmax(values: Float32Array): number {
  let best = 0
  let top = -Infinity
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (value > top) {
      top = value
      best = i
    }
  }
  return best
}

/**
 * Draws a token from probabilities that sum to 1, `uniform` in [0, 1). `topP` below 1 keeps the smallest set of
 * likeliest tokens that has at least this probability, at least one. Source: Holtzman et al. 2020.
 */
export function drawToken(probabilities: Float32Array, topP: number, uniform: number): number {
  if (topP >= 1) return indexAt(probabilities, uniform)
  const { kept, total } = nucleus(probabilities, topP)
  return indexAt(kept, uniform * total)
}

/** The first index at which the running sum exceeds `target`; never one of weight 0. */
function indexAt(weights: Float32Array, target: number): number {
  let running = 0
  let last = 0
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i] as number
    if (weight === 0) continue
    running += weight
    last = i
    if (running > target) break
  }
  return last
}

/** The probabilities with 0 for all outside the nucleus, and what is inside; of equal ones at its edge the first ids stay. */
function nucleus(probabilities: Float32Array, topP: number): { kept: Float32Array; total: number } {
  // All tokens below this probability together hold less than 1 - topP, so none of them is needed.
  const floor = (1 - topP) / probabilities.length
  const rising = probabilities.filter((probability) => probability >= floor).sort()
  let from = rising.length
  let total = 0
  while (from > 0 && total < topP) total += rising[--from] as number

  const edge = rising[from] ?? 0
  let atEdge = rising.subarray(from).findLastIndex((probability) => probability === edge) + 1
  const kept = probabilities.map((probability) =>
    probability > edge || (probability === edge && atEdge-- > 0) ? probability : 0,
  )
  return { kept, total }
}
