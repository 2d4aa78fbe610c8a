/** How runs stand: from their events, their lease, and the jobs that they have on a cluster. */
import { readEvents } from '../store/events.ts'
import { isLocked } from '../store/lock.ts'
import { eventsFile, isCancelled, leaseFile, readRecord, runIds, type RecordedEvent } from './records.ts'
import { jobsOf, type RunJob } from './slurm/jobs.ts'

export interface RunStatus {
  readonly id: string
  /** failed: it came to its end, with stages that failed. */
  readonly state: 'running' | 'done' | 'failed' | 'interrupted' | 'cancelled'
  readonly stages: { readonly done: number; readonly total: number }
  /** Title of the stage that is running. */
  readonly current: string | null
  /** Titles of the stages that failed in the last execution. */
  readonly failed: readonly string[]
}

export async function listRuns(store: string): Promise<RunStatus[]> {
  return (await runIds(store)).map((id) => statusOf(store, id))
}

/** One run, with the jobs that it has on a cluster. */
export async function runStatus(
  store: string,
  run: string,
): Promise<RunStatus & { readonly jobs: RunJob[] }> {
  const { id } = await readRecord(store, run)
  return { ...statusOf(store, id), jobs: await jobsOf(store, id) }
}

/** From the events since the last start; a run whose process is gone without an end was interrupted. */
export function statusOf(store: string, id: string): RunStatus {
  const events = readEvents<RecordedEvent>(eventsFile(store, id))
  const since = events.slice(events.findLastIndex((event) => event.type === 'start') + 1)
  let total = 0
  let current: string | null = null
  let ended = false
  const done = new Set<string>()
  const failed = new Set<string>()
  for (const event of since) {
    if (event.type === 'plan') {
      total = event.stages
      failed.clear() // what an attempt begins with is tried again
    }
    if (event.type === 'end' || event.type === 'interrupted') ended = true
    if (event.type !== 'stage' || event.state === 'waiting') continue
    current = event.state === 'started' ? event.title : null
    if (event.state === 'done' || event.state === 'cached') done.add(`${event.kind} ${event.key}`)
    if (event.state === 'failed') {
      failed.add(event.title)
      done.delete(`${event.kind} ${event.key}`) // damage may be found afterwards
    }
  }
  const live = !ended && isLocked(leaseFile(store, id))
  const stopped = isCancelled(store, id) ? 'cancelled' : 'interrupted'
  const complete = since.some((event) => event.type === 'end')
  return {
    id,
    state: live ? 'running' : complete ? (failed.size > 0 ? 'failed' : 'done') : stopped,
    stages: { done: done.size, total },
    current: live ? current : null,
    failed: [...failed],
  }
}
