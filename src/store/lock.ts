/** A lock file with a heartbeat: one live holder at a time; a dead holder's lock is taken over. Serves run leases and stage claims. */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, utimes, writeFile, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import * as z from 'zod'

const heartbeatMs = 5_000
const staleMs = 30_000
const pollMs = 250

const holderSchema = z.object({ pid: z.number(), host: z.string(), token: z.string() })
export type Holder = z.infer<typeof holderSchema>

export interface Lock {
  release(): Promise<void>
}

/** Takes the lock, or says who holds it. */
export async function tryLock(path: string): Promise<{ lock: Lock } | { heldBy: Holder }> {
  await mkdir(dirname(path), { recursive: true })
  const me: Holder = { pid: process.pid, host: hostname(), token: randomUUID() }
  for (;;) {
    try {
      await writeFile(path, JSON.stringify(me), { flag: 'wx' })
      return { lock: startHeartbeat(path, me) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = await readHolder(path)
    if (holder === 'gone') continue
    if (holder !== 'dead') return { heldBy: holder }
    // Only one contender wins this rename; the others find the file gone and try again.
    const grave = `${path}.${me.token}.dead`
    await rename(path, grave).catch(() => undefined)
    await rm(grave, { force: true })
  }
}

/** Waits until the lock is free or the signal aborts (then throws the signal's reason). */
export async function waitForLock(
  path: string,
  signal: AbortSignal,
  onWait?: (holder: Holder) => void,
): Promise<Lock> {
  let told = false
  for (;;) {
    signal.throwIfAborted()
    const attempt = await tryLock(path)
    if ('lock' in attempt) return attempt.lock
    if (!told) onWait?.(attempt.heldBy)
    told = true
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

async function readHolder(path: string): Promise<Holder | 'dead' | 'gone'> {
  let text: string
  let ageMs: number
  try {
    text = await readFile(path, 'utf8')
    ageMs = Date.now() - (await stat(path)).mtimeMs
  } catch {
    return 'gone'
  }
  const parsed = holderSchema.safeParse(safeParse(text))
  // A holder killed between creating and filling the file leaves it empty: give it a moment, then call it dead.
  if (!parsed.success) return ageMs > 2_000 ? 'dead' : { pid: 0, host: 'unknown', token: '' }
  const holder = parsed.data
  if (holder.host === hostname()) return isAlive(holder.pid) ? holder : 'dead'
  return ageMs > staleMs ? 'dead' : holder
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function safeParse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function startHeartbeat(path: string, me: Holder): Lock {
  const timer = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => undefined)
  }, heartbeatMs)
  timer.unref()
  return {
    async release() {
      clearInterval(timer)
      const holder = await readHolder(path)
      if (typeof holder === 'object' && holder.token === me.token) await rm(path, { force: true })
    },
  }
}
