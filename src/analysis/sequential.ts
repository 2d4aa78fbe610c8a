/** Bounds of one rate that hold after every sample, so that sampling may stop at any of them: an e-process, inverted. */
import jstat from 'jstat'
import { checkCount, type Count } from './curve.ts'
import type { Interval } from './intervals.ts'

/** How far from the tested rate the alternative of the likelihood ratio is: p1 = p0 / 10. */
const ratio = 10

/** Weight of the likelihood ratio, which is quick at rates near 0 and 1; the mixture has the rest. */
const weight = 0.9

/**
 * log E of s successes in t samples against the rate p0, nats. E is the weighted mean of two e-processes: Wald's
 * likelihood ratio (p1/p0)^s ((1-p1)/(1-p0))^(t-s) with p1 = p0/10, and the likelihood under Jeffreys' prior over that
 * under p0 (Robbins 1970), which keeps the bounds of middling rates useful. If the rate is p0, E reaches 1/alpha at any
 * time with probability at most alpha (Ville 1939). It grows with p0 above s/t.
 */
export function logEvidence({ k: s, n: t }: Count, p0: number): number {
  const misses = t - s
  const ofRatio = -s * Math.log(ratio) + misses * (Math.log1p(-p0 / ratio) - Math.log1p(-p0))
  const likelihood = term(s, Math.log(p0)) + term(misses, Math.log1p(-p0))
  // B(1/2, 1/2) = pi.
  const ofMixture = jstat.jStat.betaln(s + 0.5, misses + 0.5) - Math.log(Math.PI) - likelihood
  return logMean([ofRatio, weight], [ofMixture, 1 - weight])
}

/** Whether the upper bound at error `alpha` is at most `rate`: the same as asking for the bound, and quicker. */
export function shownAtMost(count: Count, rate: number, alpha: number): boolean {
  return count.n > 0 && count.k / count.n < rate && logEvidence(count, rate) >= -Math.log(alpha)
}

/** One-sided upper bound at error `alpha`, valid whenever sampling stops; 1 when nothing or only successes were seen. */
export function anytimeUpper(count: Count, alpha: number): number {
  checkCount(count, 'anytimeUpper')
  const { k, n } = count
  if (n === 0 || k === n) return 1
  let possible = k / n
  let refuted = 1
  for (let i = 0; i < 60; i++) {
    const middle = (possible + refuted) / 2
    if (logEvidence(count, middle) >= -Math.log(alpha)) refuted = middle
    else possible = middle
  }
  return refuted
}

/** One-sided lower bound at error `alpha`, valid whenever sampling stops: the mirror image of the upper one. */
export function anytimeLower({ k, n }: Count, alpha: number): number {
  return 1 - anytimeUpper({ k: n - k, n }, alpha)
}

/** Both ends of a two-sided interval for figures, each at (1 - confidence) / 2. */
export function anytimeInterval(count: Count, confidence = 0.95): Interval {
  const alpha = (1 - confidence) / 2
  return { lower: anytimeLower(count, alpha), upper: anytimeUpper(count, alpha) }
}

/** x·log p, where nothing times log 0 is nothing. */
function term(x: number, log: number): number {
  return x === 0 ? 0 : x * log
}

/** log of the weighted mean of numbers given by their logarithms. */
export function logMean(...parts: readonly (readonly [log: number, weight: number])[]): number {
  const most = Math.max(...parts.map(([log]) => log))
  if (!Number.isFinite(most)) return most
  return most + Math.log(parts.reduce((sum, [log, share]) => sum + share * Math.exp(log - most), 0))
}
