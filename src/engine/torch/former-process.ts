/** One process at a time works in a working folder: a later controller finds the process of a killed one and waits for its end. */
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { LabError } from '../../errors.ts'
import { workFiles } from './job.ts'

const processFile = 'process.json'
const processSchema = z.strictObject({ pid: z.int().positive(), host: z.string(), job: z.string() })

interface FormerProcessOptions {
  readonly patienceMs: number
  readonly signal: AbortSignal
  /** Without a heartbeat for so long a process of another machine is gone. */
  readonly silenceMs?: number
}

/** Writes down who works here. */
export async function writeProcess(workDir: string, pid: number): Promise<void> {
  const job = join(workDir, workFiles.job)
  await writeFile(join(workDir, processFile), `${JSON.stringify({ pid, host: hostname(), job })}\n`)
}

/**
 * A training whose controller was killed may still be at work: it is asked to stop and waited for. Throws ENGINE if it goes on.
 * The processes of another machine cannot be seen from here; there a heartbeat that changes says that it works, whatever time it
 * tells: clocks of two machines may be hours apart.
 */
export async function waitForFormerProcess(
  workDir: string,
  { patienceMs, signal, silenceMs = SILENCE_MS }: FormerProcessOptions,
): Promise<void> {
  const former = await readJson(join(workDir, processFile), processSchema)
  if (former === null) return
  const { pid, host, job } = former
  const until = performance.now() + patienceMs
  const beats = heartbeatOf(workDir, silenceMs)
  while (host === hostname() ? await runs(pid, job) : await beats()) {
    if (signal.aborted) return
    await writeFile(join(workDir, workFiles.stop), 'taken over\n')
    if (performance.now() > until) {
      throw new LabError('ENGINE', `process ${pid} on ${host} still trains in ${workDir}`, {
        hint: 'End it, then run the same command again.',
      })
    }
    await wait(200)
  }
  await forgetProcess(workDir)
}

/** To be called when it has ended: nobody need wait for it. */
export async function forgetProcess(workDir: string): Promise<void> {
  await rm(join(workDir, processFile), { force: true })
}

/** Whether a process of this machine runs that job: ids are used again. */
async function runs(pid: number, job: string): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
  }
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => null)
  // One that has ended and was not waited for has an empty line. Where there is no /proc the id has to do.
  return line === null ? !existsSync('/proc/self') : line.includes(job)
}

/** The package writes its heartbeat every 5 s; a file system of a network may show it a minute late. */
const SILENCE_MS = 75_000

/** Whether the heartbeat has changed within the last `silenceMs` of this machine's own time; at first it is given that time. */
function heartbeatOf(workDir: string, silenceMs: number): () => Promise<boolean> {
  let last: string | null = null
  let changedAt = performance.now()
  return async () => {
    const beat = await readFile(join(workDir, workFiles.heartbeat), 'utf8').catch(() => null)
    if (beat !== null && beat !== last) {
      last = beat
      changedAt = performance.now()
    }
    return performance.now() - changedAt < silenceMs
  }
}

/** Null for what is missing or cut short. */
async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T | null> {
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return null
  }
}
