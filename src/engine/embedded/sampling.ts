/** From logits to one token: greedy, temperature and nucleus (top-p) sampling, as pure functions of a uniform number. */

export interface SamplingRule {
  /** 0 is greedy. */
  readonly temperature: number
  /** Keep the smallest set of likeliest tokens with at least this probability (Holtzman et al. 2020). 1 keeps all. */
  readonly topP: number
}

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

/** Draws a token of one row of logits. `uniform` in [0, 1) is called once, and only if the rule is random. */
export function drawToken(logits: Float32Array, rule: SamplingRule, uniform: () => number): number {
  if (rule.temperature === 0) return argmax(logits)
  const { weights, sum } = softmaxWeights(logits, rule.temperature)
  if (rule.topP >= 1) return indexAt(weights, uniform() * sum)
  const tokens = nucleus(weights, sum, rule.topP)
  const inside = Float64Array.from(tokens, (token) => weights[token] as number)
  const total = inside.reduce((a, b) => a + b, 0)
  return tokens[indexAt(inside, uniform() * total)] as number
}

/** The first index at which the running sum exceeds `target`; never one of weight 0. */
function indexAt(weights: Float64Array, target: number): number {
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

/** softmax(logits / temperature) up to a factor: the largest weight is 1. */
function softmaxWeights(logits: Float32Array, temperature: number): { weights: Float64Array; sum: number } {
  const top = logits[argmax(logits)] as number
  const weights = new Float64Array(logits.length)
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    const weight = Math.exp(((logits[i] as number) - top) / temperature)
    weights[i] = weight
    sum += weight
  }
  return { weights, sum }
}

/** The likeliest tokens whose weights reach `topP` of `sum`, likeliest first, equals by id; at least one. */
function nucleus(weights: Float64Array, sum: number, topP: number): number[] {
  // All tokens below this weight together hold less than 1 - topP, so none of them is needed.
  const floor = ((1 - topP) * sum) / weights.length
  const candidates: number[] = []
  for (let i = 0; i < weights.length; i++) if ((weights[i] as number) >= floor) candidates.push(i)
  candidates.sort((a, b) => (weights[b] as number) - (weights[a] as number) || a - b)

  let inside = 0
  const count = candidates.findIndex((token) => (inside += weights[token] as number) >= topP * sum) + 1
  return count > 0 ? candidates.slice(0, count) : candidates
}
