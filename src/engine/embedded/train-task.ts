/** What the trainer posts to the thread of a training and what comes back: plain data only. */
import { createHash } from 'node:crypto'
import type { ErrorCode } from '../../errors.ts'
import type { ModelConfig } from '../../model/config.ts'
import type { TrainEvent, TrainJob } from '../engine.ts'
import type { Cores } from './cores.ts'
import type { FrozenBase } from './frozen-base.ts'

/** One training, for the thread that runs it. */
export interface TrainTask {
  readonly job: TrainJob
  readonly config: ModelConfig
  /** The weights that adapters stand beside; null where every weight is trained. */
  readonly frozen: FrozenBase | null
  readonly recipeHash: string
  /** One integer that is not 0 once the training is to stop after its step. */
  readonly cancel: SharedArrayBuffer
  readonly cores: Cores
}

export type WorkerMessage =
  | { readonly type: 'event'; readonly event: TrainEvent }
  | { readonly type: 'done' }
  | {
      readonly type: 'failed'
      readonly code: ErrorCode
      readonly message: string
      readonly hint: string | undefined
      readonly stack: string | undefined
    }

/** Hash of everything that decides how a training goes on from a state: a state of another hash is not continued. */
export function recipeHashOf(
  job: TrainJob,
  config: ModelConfig,
  identity: Readonly<Record<string, string | number>>,
): string {
  const { start: begin, recipe } = job
  const start =
    begin.from === 'random' || recipe.method === 'lora'
      ? { from: begin.from, seed: begin.seed ?? 0 }
      : { from: begin.from }
  return createHash('sha256').update(canonicalJson({ recipe, config, start, identity })).digest('hex')
}

/** JSON with the keys in order, so that equal values have equal text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
