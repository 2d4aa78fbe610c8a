/** How a step's packs go through the model: how many at once, and whether layers keep what they compute. */
import type { ModelConfig } from '../../model/config.ts'
import { activationElements, type KeptInputs } from './activations.ts'

/** Enough rows that a matrix product reads its weights seldom; more gains nothing. */
const ROWS_A_RUN = 2048

/** What a pass may keep, in bytes: a part of the memory of any machine that holds the weights of a model that needs it. */
const ACTIVATION_BYTES = 2 ** 30

export interface PassRequest {
  readonly batch: number
  readonly contextLength: number
  /** Of the adapters of one layer together. */
  readonly rank: number
  readonly keeps: KeptInputs
}

export interface PassPlan {
  /** Packs that go through the model at once. */
  readonly packs: number
  /** Layers are computed again on the way back. */
  readonly recompute: boolean
  readonly activationBytes: number
}

/**
 * As many packs as give ROWS_A_RUN rows and fit into ACTIVATION_BYTES; where a single pack does not fit, layers keep only their
 * input and are computed a second time, which takes a third more. No choice changes a bit of the result.
 */
export function planPass(config: ModelConfig, { batch, contextLength, rank, keeps }: PassRequest): PassPlan {
  const planOf = (packs: number, recompute: boolean): PassPlan => {
    const rows = packs * contextLength
    return {
      packs,
      recompute,
      activationBytes: 4 * activationElements(config, { rows, rank, recompute, keeps }),
    }
  }
  const most = Math.min(batch, Math.max(1, Math.floor(ROWS_A_RUN / contextLength)))
  const fits = ({ activationBytes }: PassPlan): boolean => activationBytes <= ACTIVATION_BYTES
  for (const recompute of [false, true]) {
    for (let packs = most; packs > 0; packs--) {
      const plan = planOf(packs, recompute)
      if (fits(plan)) return plan
    }
  }
  return planOf(1, true)
}
