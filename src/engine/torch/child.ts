/** A child process in a group of its own: its output goes to a log file, it is ended by its id, and never outlives this program unasked. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { LabError } from '../../errors.ts'
import { lastLines } from '../../last-lines.ts'
import type { CommandLine } from './launch.ts'

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Child {
  readonly pid: number
  /** How it ended. Never rejects once the process has started. */
  readonly exited: Promise<Exit>
  readonly running: boolean
  /** Present where the caller speaks with it. */
  readonly stdin: Writable | null
  readonly stdout: Readable | null
  /** To the whole group; nothing if it is gone. */
  signal(name: NodeJS.Signals): void
}

export interface StartOptions {
  readonly command: CommandLine
  readonly env: NodeJS.ProcessEnv
  readonly cwd?: string
  /** Its error output, and its output unless that is `spoken`; appended to. */
  readonly log: string
  readonly spoken?: boolean
  /** What is done, at once, if this program ends first; told how to signal its group. */
  readonly atExit: (signal: (name: NodeJS.Signals) => void) => void
}

/** Starts it. Throws ENGINE where the program is not there. */
export async function startChild(options: StartOptions): Promise<Child> {
  const { command, env, cwd, log, spoken = false, atExit } = options
  const fd = openSync(log, 'a')
  let child: ChildProcess
  const { promise: started, resolve: onStart, reject: onError } = Promise.withResolvers<void>()
  try {
    const stdio: StdioOptions = spoken ? ['pipe', 'pipe', fd] : ['ignore', fd, fd]
    child = spawn(command.file, command.args, { env, cwd, stdio, detached: true })
    child.once('spawn', onStart)
    child.once('error', (error) =>
      onError(
        new LabError('ENGINE', `${command.file} cannot be started: ${error.message}`, { cause: error }),
      ),
    )
  } finally {
    closeSync(fd)
  }
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  await started
  const { pid } = child
  if (pid === undefined) throw new LabError('INTERNAL', 'a started process has no id')
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(-pid, name)
    } catch {
      // The group is gone.
    }
  }
  const leave = (): void => atExit(signal)
  process.once('exit', leave)
  void exited.then(() => process.off('exit', leave))
  return {
    pid,
    exited,
    get running() {
      return child.exitCode === null && child.signalCode === null
    },
    stdin: child.stdin,
    stdout: child.stdout,
    signal,
  }
}

/** Ends a process and all that it has started: SIGTERM, and SIGKILL for what is left after `patienceMs`. */
export async function endChild(child: Child, patienceMs: number): Promise<Exit> {
  // torchrun and vLLM put workers into groups of their own.
  const started = child.running ? await startedBy(child.pid) : []
  if (child.running) child.signal('SIGTERM')
  await settledWithin(child.exited, patienceMs)
  child.signal('SIGKILL')
  for (const { pid, begun } of started) {
    if ((await statOf(pid))?.begun === begun) kill(pid)
  }
  return child.exited
}

interface ProcessStat {
  readonly pid: number
  readonly parent: number
  /** Clock ticks since the machine was started: with the id, one process for good. */
  readonly begun: string
}

/** Every descendant of a process; none where there is no /proc. */
async function startedBy(pid: number): Promise<ProcessStat[]> {
  const names = await readdir('/proc').catch(() => [])
  const all = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map((name) => statOf(Number(name))),
  )
  const below = (parent: number): ProcessStat[] =>
    all.flatMap((found) => (found?.parent === parent ? [found, ...below(found.pid)] : []))
  return below(pid)
}

async function statOf(pid: number): Promise<ProcessStat | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  // The program's name, in parentheses, may hold spaces and parentheses.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields === undefined ? null : { pid, parent: Number(fields[1]), begun: fields[19] ?? '' }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Whether a promise settles in time. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), ms)
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}

/** `ended with code 1`, `was killed by SIGKILL`. */
export function exitText({ code, signal }: Exit): string {
  return signal === null ? `ended with code ${code}` : `was killed by ${signal}`
}

/** `what`, with the end of a log below it, line by line. */
export function withTail(what: string, log: string): string {
  return [what, ...lastLines(log).map((line) => `  | ${line}`)].join('\n')
}
