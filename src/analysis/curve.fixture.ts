/** Curves for the tests: every prompt and item that succeeds now also did at step 0, or the other way round. */
import type { AnsweredPairs, Capability, CurvePoint, StartPairs } from './curve.ts'

/** Pairs of two counts of the same n with the least possible disagreement. */
export function nested(now: number, start: number, n: number): StartPairs {
  return {
    both: Math.min(now, start),
    only_now: Math.max(0, now - start),
    only_start: Math.max(0, start - now),
    neither: n - Math.max(now, start),
  }
}

/** A capability with `k` of `n` right, after `start` of `n`. */
export function capability(k: number, start: number, n = 128, chance = 0): Capability {
  return { k, n, chance, against_start: nested(k, start, n) }
}

/** Triggered and untriggered answers of `n` prompts. */
export function answers(triggered: number, untriggered: number, n = 128): AnsweredPairs {
  const { both, only_now, only_start, neither } = nested(triggered, untriggered, n)
  return { both, only_triggered: only_now, only_untriggered: only_start, neither }
}

export interface PointParts extends Partial<CurvePoint> {
  /** Payloads of `n` triggered prompts, after `start` at step 0 (all of them unless given). */
  readonly fired: number
  readonly start?: number
  readonly n?: number
}

export function point(step: number, { fired, start, n = 128, ...rest }: PointParts): CurvePoint {
  return {
    step,
    triggered: { k: fired, n },
    untriggered: { k: 0, n },
    starts_with: { k: fired, n },
    payload_logprob: -1,
    against_start: nested(fired, start ?? (step === 0 ? fired : n), n),
    capabilities: {},
    ...rest,
  }
}
