/** Follows a submitted attempt to its end, by its files and by the queue; where neither says anything it waits. */
import { setTimeout as sleep } from 'node:timers/promises'
import { interrupted, type LabError } from '../../errors.ts'
import type { Store } from '../../store/artifacts.ts'
import type { JobState } from '../events.ts'
import { missingArtifacts, type Stage, type StageProgress } from '../stage.ts'
import {
  abandon,
  closeAttempt,
  jobIdOf,
  ownerOf,
  readClosed,
  readEnd,
  readProgress,
  readStarts,
  writeJobId,
  type Attempt,
} from './attempts.ts'
import { accounted, cancel, type QueuedJob } from './client.ts'
import { endWithoutResult, hasEnded, toldFailure, vanished } from './failure.ts'
import type { Queue } from './queue.ts'

export interface Following {
  readonly store: Store
  readonly stage: Stage
  readonly queue: Queue
  readonly signal: AbortSignal
  /** Called when something of it has changed. */
  readonly tell: (state: JobState) => void
  readonly progress: (progress: StageProgress) => void
}

export type End =
  | { readonly state: 'done' }
  | { readonly state: 'failed'; readonly error: LabError }
  /** Nobody's fault, and surely over: it is to be submitted again. */
  | { readonly state: 'again'; readonly error: LabError | null }

const filesEveryMs = 1_000
export const queueEveryMs = 5_000
/** So long a job must be gone, or its result be missing: file systems of clusters remember that a file was not there. */
const graceMs = 60_000
/** Why jobs wait everywhere; a change from one to another is no news. */
const usual = new Set(['', 'None', 'Priority', 'Resources', 'BeginTime'])
/** So long a job must have ended without a result: one that is queued again passes through such states. */
const settleMs = 4_000

/** Throws only when interrupted: then the job goes on without us. */
export async function follow(attempt: Attempt, context: Following): Promise<End> {
  const { queue, signal } = context
  const { name } = attempt.intent
  const seen: Seen = { gone: null, over: null, told: '', toldProgress: '' }
  let lookAt = 0
  try {
    for (;;) {
      if (signal.aborted) throw interrupted()
      const end = await readFiles(attempt, context, seen)
      if (end !== null) return end
      if (performance.now() >= lookAt) {
        const found = await askQueue(attempt, context, seen)
        if (found !== null) return found
        lookAt = performance.now() + queueEveryMs
      }
      await sleep(filesEveryMs, undefined, { signal }).catch(() => undefined)
    }
  } finally {
    queue.leave(name)
  }
}

/** Since when the job is gone from the queue, or over without a result; what was told last. */
interface Seen {
  gone: number | null
  over: number | null
  told: string
  toldProgress: string
}

/** What the files say: the stage's own end, its progress, or that another controller has closed the attempt. */
async function readFiles(attempt: Attempt, context: Following, seen: Seen): Promise<End | null> {
  const closed = await readClosed(attempt)
  if (closed?.state === 'done' && (await isMade(context))) return { state: 'done' }
  if (closed?.state === 'failed') {
    const failure = { message: closed.why ?? 'it failed', hint: null }
    return { state: 'failed', error: await toldFailure(attempt, await jobIdOf(attempt), failure) }
  }
  if (closed !== null) return { state: 'again', error: null }

  const end = await readEnd(attempt)
  if (end?.failure != null)
    return fail(attempt, await toldFailure(attempt, await jobIdOf(attempt), end.failure))
  if (end !== null && (await isMade(context))) return done(attempt)

  const progress = await readProgress(attempt)
  if (progress !== null && progress.at !== seen.toldProgress) {
    const { at, ...told } = progress
    seen.toldProgress = at
    context.progress(told)
  }
  return null
}

async function askQueue(attempt: Attempt, context: Following, seen: Seen): Promise<End | null> {
  const look = await untilAborted(context.queue.look(attempt.intent.name), context.signal)
  const known = await jobIdOf(attempt)
  const tell = (state: JobState): void => {
    const { reason, ...rest } = state
    const text = JSON.stringify(usual.has(reason) ? rest : state)
    if (text !== seen.told) context.tell(state)
    seen.told = text
  }
  if ('unknown' in look) {
    seen.gone = null
    tell({ id: known, state: 'unknown', reason: look.unknown, node: '' })
    return null
  }
  const job = await pick(look.jobs, known, attempt)
  if (job === null) {
    seen.gone ??= performance.now()
    tell({ id: known, state: 'unknown', reason: 'Slurm does not list it', node: '' })
    return performance.now() - seen.gone < graceMs ? null : endOfGone(attempt, context, known)
  }
  seen.gone = null
  if (known === null) await writeJobId(attempt, job.id)
  if (!hasEnded(job)) {
    seen.over = null
    const { id, reason, node } = job
    tell({ id, state: job.state === 'PENDING' ? 'queued' : 'running', reason, node })
    return null
  }
  seen.over ??= performance.now()
  const patience = job.state === 'COMPLETED' ? graceMs : settleMs
  if (performance.now() - seen.over < patience) return null
  return endOf(attempt, context, job)
}

/**
 * Waits until no job of a closed attempt is left: it was cancelled, or ends just now. What is left is cancelled, and Slurm must
 * answer: nothing new is submitted before. Throws only when interrupted.
 */
export async function untilOver(
  { intent: { name } }: Attempt,
  { queue, signal, tell }: Pick<Following, 'queue' | 'signal' | 'tell'>,
): Promise<void> {
  const cancelled = new Set<string>()
  try {
    for (;;) {
      const look = await untilAborted(queue.look(name), signal)
      const left = 'unknown' in look ? null : look.jobs.filter((job) => !hasEnded(job))
      if (left?.length === 0) return
      for (const { id } of left ?? [])
        if (!cancelled.has(id) && (await cancel(id)) === null) cancelled.add(id)
      if ('unknown' in look) tell({ id: null, state: 'unknown', reason: look.unknown, node: '' })
      await sleep(filesEveryMs, undefined, { signal }).catch(() => undefined)
    }
  } finally {
    queue.leave(name)
  }
}

/** Of several jobs of the name (of which one at most works) the one that is known, or works, or is not over. */
async function pick(
  jobs: readonly QueuedJob[],
  known: string | null,
  { folder }: Attempt,
): Promise<QueuedJob | null> {
  if (jobs.length < 2) return jobs[0] ?? null
  const owner = await ownerOf(folder)
  return (
    jobs.find(({ id }) => id === owner) ??
    jobs.find(({ id }) => id === known) ??
    jobs.find((job) => !hasEnded(job)) ??
    jobs[0] ??
    null
  )
}

/** The job has been over for a while, and the stage has said nothing. */
async function endOf(attempt: Attempt, context: Following, job: QueuedJob): Promise<End> {
  const said = await readFiles(attempt, context, { gone: null, over: null, told: '', toldProgress: '' })
  if (said !== null) return said
  if (await isMade(context)) return done(attempt)
  const starts = await readStarts(attempt)
  const error = endWithoutResult(attempt, job, starts.length > 0)
  if (job.state !== 'PREEMPTED') return fail(attempt, error)
  // A cluster that cancels what it preempts: nothing is wrong with the stage.
  await cancel(job.id)
  await closeAttempt(attempt, 'lost', error.message)
  return { state: 'again', error }
}

/** Slurm answers, does not list the job for a while, and there is neither a result nor an end. */
async function endOfGone(attempt: Attempt, context: Following, known: string | null): Promise<End | null> {
  if (await isMade(context)) return done(attempt)
  const job = await accounted(attempt.intent.name, attempt.intent.at)
  // The accounting is late, or the queue is: both are asked again.
  if (job !== null && !hasEnded(job)) return null
  if (job !== null) return endOf(attempt, context, job)
  // Nothing has run under this name, and now nothing can.
  if (await abandon(attempt)) {
    await closeAttempt(attempt, 'lost', 'Slurm does not know it, and it never started')
    return { state: 'again', error: null }
  }
  const error = vanished(attempt, known)
  await closeAttempt(attempt, 'lost', error.message)
  return { state: 'again', error }
}

/** Slurm may take long to say that it cannot be reached; who wants to leave does not wait for it. */
async function untilAborted<T>(asked: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const leave = (): void => reject(interrupted())
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([asked, promise])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

const isMade = async ({ store, stage }: Following): Promise<boolean> =>
  (await missingArtifacts(store, stage)).length === 0

async function done(attempt: Attempt): Promise<End> {
  await closeAttempt(attempt, 'done')
  return { state: 'done' }
}

async function fail(attempt: Attempt, error: LabError): Promise<End> {
  await closeAttempt(attempt, 'failed', error.render())
  return { state: 'failed', error }
}
