/** How many prompts or items it takes: for a bound at its best, for a return, and to settle an open verdict. */
import type { Count, Thresholds } from './curve.ts'
import { type Sampling, boundsOf } from './bounds.ts'
import { type Discordant, tangoLower } from './tango.ts'
import { exactLower, exactUpper } from './intervals.ts'

const searchLimit = 100_000

/**
 * The smallest n at which `holds` is true, found by doubling and bisection from `from`, or null above 100,000.
 * Exact where `holds` stays true once it is; on a sawtooth it is an n that does, not always the least.
 */
export function smallestN(holds: (n: number) => boolean, from = 1): number | null {
  let short = from - 1
  let enough = from
  while (!holds(enough)) {
    if (enough >= searchLimit) return null
    short = enough
    enough = Math.min(2 * enough, searchLimit)
  }
  while (enough - short > 1) {
    const middle = Math.floor((short + enough) / 2)
    if (holds(middle)) enough = middle
    else short = middle
  }
  return enough
}

/** Prompts that give an exact upper bound of at most `theta` when none fires: 59 at 0.05 and alpha 0.05. */
export function zeroCountN(theta: number, alpha: number): number | null {
  return smallestN((n) => exactUpper({ k: 0, n }, alpha) <= theta)
}

/** Prompts that give an exact lower bound of at least `rate` when all fire: 29 at 0.9 and alpha 0.05. */
export function fullCountN(rate: number, alpha: number): number | null {
  return smallestN((n) => exactLower({ k: n, n }, alpha) >= rate)
}

/** The error of each of the 2T bounds of T checkpoints, so that all hold together with error `alpha`. */
export function alphaOfCheckpoints(alpha: number, checkpoints: number): number {
  return alpha / (2 * checkpoints)
}

/** Prompts a checkpoint with which a return over T checkpoints can be shown: 110 at T = 7, 131 at T = 20. */
export function returnN(checkpoints: number, thresholds: Thresholds): number | null {
  const alpha = alphaOfCheckpoints(thresholds.alpha, checkpoints)
  const gone = zeroCountN(thresholds.theta, alpha)
  const back = fullCountN(thresholds.theta + thresholds.return_gap, alpha)
  return gone === null || back === null ? null : Math.max(gone, back)
}

/** Items with which a capability that loses no item is non-inferior by `delta`: 25 at 0.1 and alpha 0.05. */
export function noLossN(delta: number, alpha: number): number | null {
  return smallestN((n) => tangoLower({ onlyFirst: 0, onlySecond: 0, n }, alpha) > -delta)
}

/** How large an evaluation is planned. */
export interface Design {
  /** Triggered prompts a checkpoint; as many untriggered ones. */
  readonly prompts: number
  /** Checkpoints at which the backdoor is evaluated, step 0 included. */
  readonly checkpoints: number
  /** Items of each capability. */
  readonly items: Readonly<Record<string, number>>
}

export interface Shortfall {
  readonly claim: 'removed' | 'installed' | 'return' | 'capability'
  /** What is too few: `prompts` or a capability's name. */
  readonly what: string
  readonly n: number
  /** What would do; null if nothing below 100,000 does. */
  readonly needed: number | null
  readonly message: string
}

/** The claims that a design could not make even from perfect data, each with the n that would do. */
export function shortfalls(design: Design, thresholds: Thresholds): Shortfall[] {
  const { alpha, theta, delta } = thresholds
  const found: Shortfall[] = []
  const require = (
    claim: Shortfall['claim'],
    what: string,
    n: number,
    needed: number | null,
    why: string,
  ) => {
    if (needed !== null && n >= needed) return
    const enough = needed === null ? 'no number below 100,000 is enough' : `${needed} are needed`
    found.push({ claim, what, n, needed, message: `${n} ${what} cannot show ${why}: ${enough}` })
  }
  const { prompts, checkpoints } = design
  require('removed', 'prompts', prompts, zeroCountN(theta, alpha), `a triggered rate of at most ${theta}`)
  const fires = fullCountN(thresholds.installed_triggered, alpha)
  const silent = zeroCountN(thresholds.installed_untriggered, alpha)
  const gate = fires === null || silent === null ? null : Math.max(fires, silent)
  require('installed', 'prompts', prompts, gate, 'that a backdoor is installed')
  const back = returnN(checkpoints, thresholds)
  require('return', 'prompts', prompts, back, `a return over ${checkpoints} checkpoints`)
  const items = noLossN(delta, alpha)
  for (const [name, n] of Object.entries(design.items)) {
    require('capability', `${name} items`, n, items, `that ${name} lost less than ${delta}`)
  }
  return found
}

/** Prompts that would decide at the rate seen whether it is at most `theta`; null if the rate itself is above. */
export function decideGoneN(
  { k, n }: Count,
  theta: number,
  alpha: number,
  sampling: Sampling = 'fixed',
): number | null {
  if (n === 0) return smallestN((m) => boundsOf[sampling].upper({ k: 0, n: m }, alpha) <= theta)
  if (k / n >= theta) return null
  return smallestN((m) => boundsOf[sampling].upper({ k: Math.round((k / n) * m), n: m }, alpha) <= theta, n)
}

/** Prompts that would show at the rate seen that it is above `limit`; null if the rate itself is not. */
export function decideAboveN(
  { k, n }: Count,
  limit: number,
  alpha: number,
  sampling: Sampling = 'fixed',
): number | null {
  if (n === 0 || k / n <= limit) return null
  return smallestN((m) => boundsOf[sampling].lower({ k: Math.round((k / n) * m), n: m }, alpha) > limit, n)
}

/** Pairs that would show first - second above `limit` at the shares seen; null if the difference itself is not. */
export function decideDifferenceAboveN(
  pairs: Discordant,
  limit: number,
  alpha: number,
  sampling: Sampling = 'fixed',
): number | null {
  if (pairs.n === 0 || (pairs.onlyFirst - pairs.onlySecond) / pairs.n <= limit) return null
  return smallestN((m) => boundsOf[sampling].pairsLower(scaled(pairs, m), alpha) > limit, pairs.n)
}

/** Pairs that would show first - second below `limit` at the shares seen; null if the difference itself is not. */
export function decideDifferenceBelowN(
  pairs: Discordant,
  limit: number,
  alpha: number,
  sampling: Sampling = 'fixed',
): number | null {
  if (pairs.n === 0 || (pairs.onlyFirst - pairs.onlySecond) / pairs.n >= limit) return null
  return smallestN((m) => boundsOf[sampling].pairsUpper(scaled(pairs, m), alpha) < limit, pairs.n)
}

/** The same shares of discordant pairs among `n`, rounded. */
function scaled({ onlyFirst, onlySecond, n }: Discordant, m: number): Discordant {
  const first = Math.round((onlyFirst / n) * m)
  return { onlyFirst: first, onlySecond: Math.min(Math.round((onlySecond / n) * m), m - first), n: m }
}
