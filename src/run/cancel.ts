/** Cancelling a run: a mark in its folder that its controller sees, and the end of its jobs. The same command resumes it. */
import { existsSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LabError } from '../errors.ts'
import { isLocked } from '../store/lock.ts'
import { leaseFile, readRecord, runFolder } from './records.ts'
import { endJobs, type EndedJob } from './slurm/jobs.ts'

const lookMs = 500
/** A controller winds up within two seconds. */
const patienceMs = 30_000

const markFile = (store: string, run: string): string => join(runFolder(store, run), 'cancelled')

export const isCancelled = (store: string, run: string): boolean => existsSync(markFile(store, run))

const cancelled = (): LabError => new LabError('INTERRUPTED', 'cancelled; the same command resumes it')

/** Takes the mark of an earlier cancellation away, and aborts when a new one comes. */
export async function watchCancel(
  store: string,
  run: string,
): Promise<{ readonly signal: AbortSignal; stop(): void }> {
  await rm(markFile(store, run), { force: true })
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
  await writeFile(markFile(store, run), `${new Date().toISOString()}\n`)
  const lease = leaseFile(store, run)
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
  return { run, wasRunning, jobs: await endJobs(store, run) }
}

function holderOf(lease: string): string {
  try {
    return readFileSync(`${lease}.holder`, 'utf8')
  } catch {
    return 'unknown'
  }
}
