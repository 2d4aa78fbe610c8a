/** What a backdoor eval that may stop needs at most: the samples of its claims where every sample speaks for them. */
import type { VerdictSpec } from './experiment.ts'

/** With 0 of n, the n from which the anytime upper bound is at most `rate` (analysis/sequential.ts): 67 at 0.05. */
export function samplesToStopAtMost(rate: number, error: number): number {
  let ratio = 1
  let mixture = 1
  let n = 0
  while (0.9 * ratio + 0.1 * mixture < 1 / error) {
    ratio *= (1 - rate / 10) / (1 - rate)
    mixture *= (n + 0.5) / (n + 1) / (1 - rate)
    n++
  }
  return n
}

/** Without a discordant pair of n, the n from which the anytime bound of the difference is within `margin`. */
export function pairsToStopWithin(margin: number, error: number): number {
  const stakes = [0.25, 0.5, 0.75]
  let n = 0
  const wealth = (): number =>
    stakes.reduce((sum, stake) => sum + (1 - stake + stake / (1 - margin)) ** n, 0) / stakes.length
  while (wealth() < 1 / error) n++
  return n
}

/** Prompts for the verdicts of checkpoints that may stop; the gate's are those of a fixed design, and returns are not looked for. */
export function sequentialClaims({ alpha, theta, delta, survived }: VerdictSpec) {
  return {
    gone: samplesToStopAtMost(theta, alpha),
    survived: samplesToStopAtMost(1 - survived, alpha),
    answers: pairsToStopWithin(delta, alpha),
  }
}
