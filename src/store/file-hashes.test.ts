/** Hashes of large files are kept: what is kept is believed, and any change of the file is seen. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { hashFile } from './canonical.ts'
import { knownHash } from './file-hashes.ts'

let dir: string
let file: string
let store: string
const content = Buffer.alloc(1 << 20, 'x')

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hashes-'))
  file = join(dir, 'model.safetensors')
  store = join(dir, 'store')
  mkdirSync(store)
  writeFileSync(file, content)
  // The clock alone: files keep their own times.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 })
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(dir, { recursive: true })
})

const entries = (): string[] => {
  try {
    return readdirSync(join(store, 'cache/hashes')).map((name) => join(store, 'cache/hashes', name))
  } catch {
    return []
  }
}
const planted = 'a'.repeat(64)
/** Only who does not read the file finds this. */
function plant(): void {
  const [entry] = entries()
  writeFileSync(entry!, JSON.stringify({ ...JSON.parse(readFileSync(entry!, 'utf8')), sha256: planted }))
}

test('the second time the file is not read, by whatever path', async () => {
  const hash = await hashFile(file)
  expect(await knownHash(store, file)).toBe(hash)
  expect(await knownHash(store, file)).toBe(hash)
  plant()
  symlinkSync(file, join(dir, 'link'))
  expect(await knownHash(store, join(dir, 'link'))).toBe(planted)
  expect(entries()).toHaveLength(1)
})

test('one byte of the same size is seen, with the old time of change put back', async () => {
  await knownHash(store, file)
  plant()
  const { atime, mtime } = statSync(file)
  writeFileSync(file, Buffer.concat([content.subarray(1), Buffer.from('y')]))
  utimesSync(file, atime, mtime)
  expect(await knownHash(store, file)).toBe(await hashFile(file))
})

test('another file in its place is seen', async () => {
  await knownHash(store, file)
  plant()
  rmSync(file)
  writeFileSync(file, content)
  expect(await knownHash(store, file)).toBe(await hashFile(file))
})

test('a file that has just changed, and a small one, are not kept', async () => {
  vi.setSystemTime(Date.now() - 60_000)
  expect(await knownHash(store, file)).toBe(await hashFile(file))
  vi.setSystemTime(Date.now() + 60_000)
  writeFileSync(join(dir, 'config.json'), '{}')
  expect(await knownHash(store, join(dir, 'config.json'))).toBe(await hashFile(join(dir, 'config.json')))
  expect(entries()).toEqual([])
})

test.each(['', '{"identity": 3}', 'nonsense'])('an entry of %j is ignored and written anew', async (text) => {
  const hash = await knownHash(store, file)
  writeFileSync(entries()[0]!, text)
  expect(await knownHash(store, file)).toBe(hash)
  plant()
  expect(await knownHash(store, file)).toBe(planted)
})

test('a store that cannot be written is no reason to fail', async () => {
  const none = join(dir, 'none')
  expect(await knownHash(none, file)).toBe(await hashFile(file))
  expect(existsSync(none)).toBe(false)
  writeFileSync(join(store, 'cache'), 'a file where the folder would be')
  expect(await knownHash(store, file)).toBe(await hashFile(file))
})
