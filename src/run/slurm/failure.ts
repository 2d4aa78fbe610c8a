/** What the end of a job means, in words: the state that Slurm gives it, the end of its log, and what to change. */
import { LabError } from '../../errors.ts'
import { lastLines } from '../../last-lines.ts'
import type { Attempt } from './attempts.ts'
import type { QueuedJob } from './client.ts'

/** A job in one of these has ended for good; every other state is one on the way. */
const endStates = new Set([
  'BOOT_FAIL',
  'CANCELLED',
  'COMPLETED',
  'DEADLINE',
  'FAILED',
  'NODE_FAIL',
  'OUT_OF_MEMORY',
  'PREEMPTED',
  'REVOKED',
  'TIMEOUT',
])
export const hasEnded = ({ state }: QueuedJob): boolean => endStates.has(state)

const again = 'the same command submits it again'
const goesOn = `${again}, and it goes on from its last checkpoint`

/** A job that ended without its artifacts and without a word of the stage itself. */
export function endWithoutResult(attempt: Attempt, job: QueuedJob, started: boolean): LabError {
  const log = lastLines(attempt.intent.log)
  const { what, hint } = meaningOf(job, started, log)
  const name = `job ${job.id}${job.node === '' ? '' : ` on ${job.node}`}`
  return new LabError('ENGINE', `${name} ${what} (${stateOf(job)})${quoted(attempt, log)}`, { hint })
}

/** What the stage itself told before its process ended. */
export async function toldFailure(
  attempt: Attempt,
  job: string | null,
  { message, hint }: { readonly message: string; readonly hint: string | null },
): Promise<LabError> {
  const where = `${job === null ? 'job' : `job ${job}`}, log ${attempt.intent.log}`
  return new LabError('ENGINE', `${message} (${where})`, { hint: hint ?? undefined })
}

/** sbatch does not want such a job. */
export function rejected(attempt: Attempt, why: string): LabError {
  const lines = why.split('\n').map((line) => line.replace(/^sbatch: (error: )?/, ''))
  return new LabError('BAD_INPUT', `Slurm rejects the job: ${lines.filter(Boolean).join('; ')}`, {
    hint: `change \`slurm\` of its \`placement\`; the script is ${attempt.intent.script}`,
  })
}

/** Slurm knows nothing of a job that had begun. */
export function vanished(attempt: Attempt, job: string | null): LabError {
  const log = lastLines(attempt.intent.log)
  const message = `job ${job ?? attempt.intent.name} is gone from Slurm, without a result${quoted(attempt, log)}`
  return new LabError('ENGINE', message, { hint: goesOn })
}

function meaningOf(
  { state, node }: QueuedJob,
  started: boolean,
  log: readonly string[],
): { what: string; hint: string } {
  // Without cgroups Slurm kills what has taken too much, and calls it FAILED.
  const memory = log.some((line) => /exceeded (job )?memory limit|oom[-_ ]?kill|out of memory/i.test(line))
  if (state === 'OUT_OF_MEMORY' || (memory && state !== 'TIMEOUT')) {
    return { what: 'ran out of memory', hint: `raise \`slurm.memory\` of its \`placement\`; ${goesOn}` }
  }
  switch (state) {
    case 'TIMEOUT':
    case 'DEADLINE':
      return { what: 'reached its time limit', hint: `raise \`slurm.time\` of its \`placement\`; ${goesOn}` }
    case 'NODE_FAIL':
    case 'BOOT_FAIL': {
      const away = node === '' ? '' : `; \`directives: { exclude: "${node}" }\` keeps it away from there`
      return { what: 'lost its node', hint: `${goesOn}${away}` }
    }
    case 'CANCELLED':
    case 'REVOKED':
      return { what: 'was cancelled, by scancel or an administrator', hint: goesOn }
    case 'COMPLETED':
      return {
        what: 'ended, and its result is not here',
        hint: 'the store must be the same folder on this machine and on the nodes',
      }
    default:
      return started
        ? { what: 'ended without telling why', hint: `its log may say it; ${goesOn}` }
        : {
            what: 'ended before its stage began',
            hint: `a line of \`setup\` failed, or the program or the store is not on the node; ${again}`,
          }
  }
}

const stateOf = ({ state, reason }: QueuedJob): string =>
  reason === '' || reason === 'None' ? state : `${state}, ${reason}`

function quoted({ intent }: Attempt, log: readonly string[]): string {
  if (log.length === 0) return `; it printed nothing into ${intent.log}`
  return `; the end of ${intent.log}:\n${log.map((line) => `  | ${line}`).join('\n')}`
}
