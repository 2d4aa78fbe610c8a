/** Cancelling a run: a mark in its folder that its controller sees, and the end of its jobs. The same command resumes it. */
import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { LabError } from '../errors.ts'
import { isLocked } from '../store/lock.ts'
import { cancelFile, isCancelled, leaseFile, readRecord } from './records.ts'
import { statusOf } from './run-status.ts'
import { endJobs, type EndedJob } from './slurm/jobs.ts'

const lookMs = 500
/** A controller winds up within two seconds. */
const patienceMs = 30_000

const cancelled = (): LabError => new LabError('INTERRUPTED', 'cancelled; the same command resumes it')

/** Takes the mark of an earlier cancellation away, and aborts when a new one comes. */
export async function watchCancel(
  store: string,
  run: string,
): Promise<{ readonly signal: AbortSignal; stop(): void }> {
  await rm(cancelFile(store, run), { force: true })
  const controller = new AbortController()
  const timer = setInterval(() => {
    if (!isCancelled(store, run)) return
    clearInterval(timer)
    controller.abort(cancelled())
  }, lookMs)
  return { signal: controller.signal, stop: () => clearInterval(timer) }
}

export interface Cancellation {
  readonly run: string
  /** It had come to its end: nothing was to cancel. */
  readonly ended: boolean
  /** A process was executing it. */
  readonly wasRunning: boolean
  readonly jobs: readonly EndedJob[]
}

/** Ends the process that executes a run, then its jobs, by their ids. Throws STORE where that process does not end. */
export async function cancelRun(request: {
  readonly store: string
  readonly run: string
}): Promise<Cancellation> {
  const { store } = request
  const { id: run } = await readRecord(store, request.run)
  const lease = leaseFile(store, run)
  const { state } = statusOf(store, run)
  if ((state === 'done' || state === 'failed') && !isLocked(lease))
    return { run, ended: true, wasRunning: false, jobs: [] }
  await writeFile(cancelFile(store, run), `${new Date().toISOString()}\n`)
  const wasRunning = isLocked(lease)
  const until = performance.now() + patienceMs
  while (isLocked(lease)) {
    if (performance.now() > until) {
      throw new LabError('STORE', `the process that executes ${run} does not end (${holderOf(lease)})`, {
        hint: 'end it yourself, and cancel again: its jobs go on',
      })
    }
    await sleep(lookMs / 5)
  }
  return { run, ended: false, wasRunning, jobs: await endJobs(store, run) }
}

function holderOf(lease: string): string {
  try {
    return readFileSync(`${lease}.holder`, 'utf8')
  } catch {
    return 'unknown'
  }
}
