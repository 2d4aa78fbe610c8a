/** Locks that the operating system holds for a process: one holder at a time, gone with it, however it ends. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import * as z from 'zod'
import { refusalOf } from './refusal.ts'

const pollMs = 250

const holderSchema = z.object({ pid: z.number(), host: z.string() })
/** Who holds a lock, for messages only: the lock itself is SQLite's file lock. */
export type Holder = z.infer<typeof holderSchema>

export interface Lock {
  release(): void
}

/**
 * Takes the lock, or says who holds it. The file stays behind, empty: removing it would let two processes lock two files of
 * one name. Throws STORE where the disk is full or refuses the file.
 */
export function tryLock(path: string): { lock: Lock } | { heldBy: Holder } {
  let database: DatabaseSync | null = null
  try {
    mkdirSync(dirname(path), { recursive: true })
    database = lockFile(path)
    if (database === null) return { heldBy: readHolder(path) }
    writeFileSync(holderFile(path), JSON.stringify({ pid: process.pid, host: hostname() } satisfies Holder))
    const held = database
    return { lock: { release: () => held.close() } }
  } catch (error) {
    database?.close()
    throw refusalOf(error, dirname(path)) ?? error
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
    const attempt = tryLock(path)
    if ('lock' in attempt) return attempt.lock
    if (!told) onWait?.(attempt.heldBy)
    told = true
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

/** Whether somebody holds the lock now; leaves nothing behind. */
export function isLocked(path: string): boolean {
  if (!existsSync(path)) return false
  const database = lockFile(path)
  database?.close()
  return database === null
}

/** SQLite's lock on the file until it is closed; null: somebody else has it. Needs no room on the disk: no journal is begun. */
function lockFile(path: string): DatabaseSync | null {
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database.close()
    if (!isBusy(error)) throw error
    return null
  }
}

const holderFile = (path: string): string => `${path}.holder`

function readHolder(path: string): Holder {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(holderFile(path), 'utf8')))
  } catch {
    return { pid: 0, host: 'unknown' } // between taking the lock and writing its name
  }
}

/** SQLITE_BUSY and its extended codes. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 5
}
