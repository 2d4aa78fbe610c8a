/** What the trainer posts to its workers and what they post back: plain data only. */
import { createHash } from 'node:crypto'
import { LabError, type ErrorCode } from '../../errors.ts'
import type { LlamaConfig } from '../../model/config.ts'
import type { TrainEvent, TrainJob } from '../engine.ts'
import type { TrainMemory } from './train-memory.ts'

/** One worker's share of one training. */
export interface TrainTask {
  readonly job: TrainJob
  readonly config: LlamaConfig
  /** From 0; worker 0 also reads and writes states and reports. */
  readonly worker: number
  readonly shared: TrainMemory
  readonly recipeHash: string
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

/** Packs of one step, by index in the step, that a worker takes from one micro-batch: a contiguous range. */
export function packRange(
  { batch, accumulate }: { readonly batch: number; readonly accumulate: number },
  { micro, worker, workers }: { readonly micro: number; readonly worker: number; readonly workers: number },
): { readonly from: number; readonly to: number } {
  const size = batch / accumulate
  const start = micro * size
  return {
    from: start + Math.floor((size * worker) / workers),
    to: start + Math.floor((size * (worker + 1)) / workers),
  }
}

/** Hash of everything that decides how a training goes on from a state: a state of another hash is not continued. */
export function recipeHashOf(
  job: TrainJob,
  config: LlamaConfig,
  identity: Readonly<Record<string, string | number>>,
): string {
  const start = job.start.from === 'random' ? { from: 'random', seed: job.start.seed } : { from: 'folder' }
  return createHash('sha256')
    .update(canonicalJson({ recipe: job.recipe, config, start, identity }))
    .digest('hex')
}

/** JSON with the keys in order, so that equal values have equal text. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function wrong(what: string): LabError {
  return new LabError('BAD_INPUT', `the recipe cannot be trained: ${what}`)
}

/** Throws BAD_INPUT for a job that cannot be run as written. */
export function checkJob({ recipe, checkpoints }: TrainJob): void {
  for (const key of ['batch', 'accumulate', 'steps'] as const) {
    if (!Number.isInteger(recipe[key]) || recipe[key] < 1) throw wrong(`${key} is ${recipe[key]}`)
  }
  if (recipe.batch % recipe.accumulate !== 0) {
    throw wrong(`accumulate (${recipe.accumulate}) does not divide batch (${recipe.batch})`)
  }
  if (!(recipe.warmup >= 0 && recipe.warmup < 1)) throw wrong(`warmup is ${recipe.warmup}`)
  for (const [i, step] of checkpoints.entries()) {
    if (!Number.isInteger(step) || step < 1 || step > recipe.steps || step <= (checkpoints[i - 1] ?? 0)) {
      throw wrong(`checkpoints must ascend within 1..${recipe.steps}, got ${checkpoints.join(', ')}`)
    }
  }
}
