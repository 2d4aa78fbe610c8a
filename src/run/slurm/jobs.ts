/** The jobs of a run, from their files and the queue: how they stand, and their end. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { JobState } from '../events.ts'
import {
  closeAttempt,
  jobIdOf,
  newestAttempts,
  readClosed,
  readProgress,
  readStarts,
  type Attempt,
  type WrittenProgress,
} from './attempts.ts'
import { cancel, queued, type QueuedJob } from './client.ts'
import { hasEnded } from './failure.ts'

/** Attempts of a run that nobody has closed: their jobs wait, run, or have ended while nobody looked. */
async function openAttempts(store: string, run: string): Promise<Attempt[]> {
  const attempts = (await newestAttempts(store)).filter(({ intent }) => intent.run === run)
  const closed = await Promise.all(attempts.map(readClosed))
  return attempts.filter((_, i) => closed[i] === null)
}

export interface RunJob extends Omit<JobState, 'state'> {
  readonly title: string
  readonly name: string
  readonly state: JobState['state'] | 'ended'
  /** How often it has begun: more than once where it was preempted or reached its limit. */
  readonly starts: number
  readonly progress: WrittenProgress | null
  readonly log: string
}

export async function jobsOf(store: string, run: string): Promise<RunJob[]> {
  const attempts = await openAttempts(store, run)
  if (attempts.length === 0) return []
  const look = await queued(attempts.map(({ intent }) => intent.name))
  return await Promise.all(
    attempts.map(async (attempt) => {
      const { name, title, log } = attempt.intent
      const starts = await readStarts(attempt)
      const known = await jobIdOf(attempt)
      const common = { title, name, log, starts: starts.length, progress: await readProgress(attempt) }
      if ('unknown' in look) {
        return {
          ...common,
          id: known,
          state: 'unknown',
          reason: look.unknown,
          node: starts.at(-1)?.host ?? '',
        }
      }
      const jobs = look.jobs.filter((job) => job.name === name)
      const job = jobs.find((other) => !hasEnded(other)) ?? jobs[0]
      if (job === undefined) {
        return { ...common, id: known, state: 'unknown', reason: 'Slurm does not list it', node: '' }
      }
      return { ...common, ...standing(job) }
    }),
  )
}

function standing(job: QueuedJob): Pick<RunJob, 'id' | 'state' | 'reason' | 'node'> {
  const { id, state, reason, node } = job
  if (hasEnded(job)) return { id, state: 'ended', reason: state, node }
  return {
    id,
    state: state === 'PENDING' ? 'queued' : 'running',
    reason: reason === 'None' ? '' : reason,
    node,
  }
}

export async function countOpenJobs(store: string, run: string): Promise<number> {
  return (await openAttempts(store, run)).length
}

export interface EndedJob {
  readonly title: string
  readonly id: string | null
  /** Why Slurm could not be told; the job ends by itself when it reads its files. */
  readonly trouble: string | null
}

/** Closes the attempts of a run, which their jobs see, and cancels the jobs by their ids. */
export async function endJobs(store: string, run: string): Promise<EndedJob[]> {
  const attempts = await openAttempts(store, run)
  if (attempts.length === 0) return []
  for (const attempt of attempts) await closeAttempt(attempt, 'cancelled')
  const look = await queued(attempts.map(({ intent }) => intent.name))
  const ended: EndedJob[] = []
  for (const attempt of attempts) {
    const { title, name } = attempt.intent
    const listed = 'unknown' in look ? [] : look.jobs.filter((job) => job.name === name && !hasEnded(job))
    const known = await jobIdOf(attempt)
    const ids = listed.length > 0 || !('unknown' in look) ? listed.map(({ id }) => id) : known ? [known] : []
    const troubles = await Promise.all(ids.map(cancel))
    const trouble = 'unknown' in look ? look.unknown : (troubles.find((text) => text !== null) ?? null)
    ended.push({ title, id: ids[0] ?? known, trouble })
  }
  await untilQuiet(attempts.map(({ intent }) => intent.name))
  return ended
}

/** Until none of them waits or runs, as long as Slurm says so, and for a minute at most: a process has 30 s to end. */
async function untilQuiet(names: readonly string[]): Promise<void> {
  const until = performance.now() + 60_000
  while (performance.now() < until) {
    const look = await queued(names)
    if ('unknown' in look || look.jobs.every(hasEnded)) return
    await sleep(500)
  }
}
