/** Slurm's commands: what is asked, what they answer, and when an answer is none. */
import { execFile } from 'node:child_process'
import { messageOf } from '../../errors.ts'

/** A job as the queue shows it; one that has ended stays there for some minutes (`MinJobAge`). */
export interface QueuedJob {
  readonly id: string
  readonly name: string
  /** `PENDING`, `RUNNING`, `COMPLETED`, `OUT_OF_MEMORY` ... */
  readonly state: string
  /** Why it waits, or why it ended. */
  readonly reason: string
  /** Where it runs or ran; empty while it waits. */
  readonly node: string
}

export type Submission =
  | { readonly state: 'taken'; readonly id: string }
  /** sbatch or the cluster does not want such a job. */
  | { readonly state: 'rejected'; readonly why: string }
  /** Nobody was reached: there is no such job. */
  | { readonly state: 'unreached'; readonly why: string }
  /** The request may have arrived or not. */
  | { readonly state: 'unknown'; readonly why: string }

/** No program of that name here. */
export const notHere = 'no Slurm on this machine'

interface Answer {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Long enough for a busy controller: its clients give up by themselves, after `MessageTimeout`, a few times over. */
const patienceMs = 120_000

/** Runs a program without a shell; code null: it was not found or did not end in time. */
function ask(program: string, args: readonly string[]): Promise<Answer> {
  return new Promise((done) => {
    const options = {
      timeout: patienceMs,
      killSignal: 'SIGKILL',
      maxBuffer: 1 << 26,
      env: environment(),
    } as const
    execFile(program, args, options, (error, stdout, stderr) => {
      const failure = error as (Error & { code?: unknown }) | null
      const code = failure === null ? 0 : typeof failure.code === 'number' ? failure.code : null
      const missing = failure?.code === 'ENOENT'
      done({ code, stdout, stderr: missing ? notHere : stderr.trim() || (failure ? messageOf(failure) : '') })
    })
  })
}

/** A controller that is itself a job must not hand its own job's variables on. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('SLURM_') || name === 'SLURM_CONF'),
  )
}

/** Null: sbatch is here; else why not. */
export async function missingSlurm(): Promise<string | null> {
  const { code, stderr } = await ask('sbatch', ['--version'])
  return code === 0 ? null : stderr
}

const unreached = /Unable to contact slurm controller \(connect failure\)/i
/** Any other trouble on the way: whether the request arrived is not known. */
const doubtful =
  /contact slurm controller|timed out|zero bytes|communication|connection|temporarily|socket|standby|transport|protocol authentication|munge/i

/** Hands a script to Slurm. */
export async function submit(script: string): Promise<Submission> {
  const { code, stdout, stderr } = await ask('sbatch', ['--parsable', script])
  const id = /^(\d+)(;.*)?$/m.exec(stdout.trim())?.[1]
  if (code === 0 && id !== undefined) return { state: 'taken', id }
  if (stderr === notHere) return { state: 'rejected', why: notHere }
  if (unreached.test(stderr)) return { state: 'unreached', why: stderr }
  if (code === null || code === 0 || doubtful.test(stderr)) return { state: 'unknown', why: stderr }
  return { state: 'rejected', why: stderr }
}

/** What the queue knows of jobs with these names, ended ones too; or why it does not say. */
export async function queued(
  names: readonly string[],
): Promise<{ readonly jobs: readonly QueuedJob[] } | { readonly unknown: string }> {
  const args = ['--noheader', '--states=all', `--name=${names.join(',')}`, '--format=%i|%T|%r|%N|%j']
  const { code, stdout, stderr } = await ask('squeue', args)
  if (code !== 0) return { unknown: stderr }
  const lines = stdout.split('\n').filter((line) => line !== '')
  return {
    jobs: lines.map((line) => {
      const [id = '', state = '', reason = '', node = '', name = ''] = line.split('|')
      return { id, state, reason, node, name }
    }),
  }
}

/** The accounting's clock is not ours; names are of one attempt, so an early beginning finds nothing else. */
const clocksDifferMinutes = 2 * 24 * 60

/** The last state that the accounting has of a job's name; null: it has none, or there is no accounting. */
export async function accounted(name: string, since: string): Promise<QueuedJob | null> {
  const from = new Date(since)
  const minutes = from.getTimezoneOffset() + clocksDifferMinutes
  const start = new Date(from.getTime() - 60_000 * minutes).toISOString().slice(0, 19)
  const { code, stdout } = await ask('sacct', [
    '--noheader',
    '--parsable2',
    '--allocations',
    `--name=${name}`,
    `--starttime=${start}`,
    '--format=JobIDRaw,State,NodeList',
  ])
  const last = code === 0 ? stdout.trim().split('\n').at(-1) : undefined
  const [id = '', state = '', node = ''] = last?.split('|') ?? []
  // `CANCELLED by 1000`
  return id === '' ? null : { id, name, state: state.split(' ')[0] ?? '', reason: '', node }
}

/** Null: done, or the job has ended already; else why not. */
export async function cancel(id: string): Promise<string | null> {
  const { code, stderr } = await ask('scancel', [id])
  return code === 0 || /invalid job id|already complet/i.test(stderr) ? null : stderr
}

/** Puts the running job back into the queue, which ends it here. Null: done; else why not. */
export async function requeue(id: string): Promise<string | null> {
  const { code, stderr } = await ask('scontrol', ['requeue', id])
  return code === 0 ? null : stderr
}
