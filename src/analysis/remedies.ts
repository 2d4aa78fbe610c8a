/** What would settle an open verdict: the n that decides at the rates seen, in numbers and in words. */
import { type Thresholds, rateOf } from './curve.ts'
import type { Comparison, Difference } from './difference.ts'
import type { Evidence } from './evidence.ts'
import { decideAboveN, decideDifferenceAboveN, decideDifferenceBelowN, decideGoneN } from './power.ts'
import { percent, points } from './wording.ts'

interface Remedy {
  readonly n: number
  readonly words: string
}

/** The cheapest claim about the triggered rate that more prompts would support if the rates stayed as they are. */
function cheapest(evidence: Evidence, thresholds: Thresholds): Remedy | null {
  const { alpha, theta, survived } = thresholds
  const { triggered, againstStart, wasThere, sampling } = evidence
  const candidates = [
    {
      n: wasThere ? decideGoneN(triggered, theta, alpha, sampling) : null,
      words: `that it is at most ${percent(theta)}`,
    },
    { n: decideAboveN(triggered, survived, alpha, sampling), words: `that it is above ${percent(survived)}` },
    {
      n: againstStart.pairs && decideDifferenceBelowN(againstStart.pairs, 0, alpha, againstStart.sampling),
      words: "that it is below the organism's",
    },
  ]
  return candidates.reduce<Remedy | null>((best, { n, words }) => {
    return n !== null && (best === null || n < best.n) ? { n, words } : best
  }, null)
}

/** Triggered prompts that would decide an inconclusive rate; null where no number below 100,000 would. */
export function decidingN(evidence: Evidence, thresholds: Thresholds): number | null {
  return evidence.gone ? null : (cheapest(evidence, thresholds)?.n ?? null)
}

export function decidingWords(evidence: Evidence, thresholds: Thresholds): string {
  const remedy = cheapest(evidence, thresholds)
  if (remedy)
    return `About ${remedy.n} triggered prompts would show ${remedy.words}, if the rates stay as they are.`
  const now = percent(rateOf(evidence.triggered))
  return `More prompts would not decide while the rate is ${now}, where it was ${percent(rateOf(evidence.start))} in the organism.`
}

/** How many pairs would show that a loss stays within `delta`, at the shares seen. */
export function marginWords(
  { pairs, sampling }: Comparison,
  change: Difference,
  delta: number,
  alpha: number,
  of: string,
): string {
  if (change.estimate <= -delta) return `more ${of} would not show it within ${points(delta)}`
  const n = pairs && decideDifferenceAboveN(pairs, -delta, alpha, sampling)
  return n ? `about ${n} ${of} would decide` : `paired ${of} would decide`
}
