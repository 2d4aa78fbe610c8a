/** Models of a hub, from a real server: whole, interrupted, corrupt, refused, offline, and from another program's cache. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { randomWeights, tinyConfig } from '../../engine/embedded/random-model.fixture.ts'
import { trainByteBpe, writeTokenizerFolder } from '../../model/bpe.ts'
import { chatSpecials } from '../../model/chat.ts'
import { writeModelFolder } from '../../model/folder.ts'
import { openModelFolder } from '../../model/open.ts'
import { hubSettings } from './client.ts'
import { downloadFile } from './download.ts'
import type { DownloadProgress, HubContext } from './fetch.ts'
import { type HubServer, serveHub } from './server.fixture.ts'
import { openSnapshot } from './snapshot.ts'

const model = { kind: 'model', repo: 'lab/tiny', revision: 'main' } as const
const config = { ...tinyConfig, vocabSize: 320, hiddenSize: 32 }
const weightsFile = 'model.safetensors'

let dir = ''
let source = ''
let hub: HubServer
let root = ''

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hub-'))
  source = join(dir, 'source')
  const tokenizerDir = join(dir, 'tokenizer')
  const tokenizer = trainByteBpe(['the sea is deep'], { vocabSize: 270, specials: chatSpecials })
  await mkdir(tokenizerDir)
  await writeTokenizerFolder(tokenizerDir, tokenizer, { modelMaxLength: 40 })
  await writeModelFolder(source, { config, weights: randomWeights(config), tokenizerDir })
})
afterAll(() => rm(dir, { recursive: true }))
beforeEach(async () => {
  root = await mkdtemp(join(dir, 'store-'))
  hub = await serveHub(source)
})
afterEach(() => hub.close())

function context(more: Partial<HubContext> = {}): HubContext {
  const settings = { ...hubSettings({ HF_ENDPOINT: hub.endpoint }), retryMs: 1 }
  // No cache of another program.
  const env = { HF_HUB_CACHE: join(dir, 'nothing') }
  return { root, settings, env, signal: new AbortController().signal, ...more }
}

const open = (more: Partial<HubContext> = {}, weights = true) =>
  openSnapshot(model, { weights }, context(more))
const fileRequests = (name: string) => hub.requests.filter(({ path }) => path.endsWith(`/${name}`))

test('a model is downloaded whole and opens; the next time nothing is asked', async () => {
  const seen: DownloadProgress[] = []
  const snapshot = await open({ progress: (progress) => seen.push(progress) })
  expect(snapshot.complete).toBe(true)
  expect(snapshot.commit).toBe(hub.commit)
  for (const name of [weightsFile, 'config.json', 'tokenizer.json']) {
    expect(await readFile(join(snapshot.folder, name))).toEqual(await readFile(join(source, name)))
  }
  expect((await openModelFolder(snapshot.folder)).config).toEqual(config)
  const last = seen.at(-1)
  expect(last?.doneBytes).toBe(last?.totalBytes)
  expect(last?.secondsLeft).toBe(0)
  expect(seen.length).toBeGreaterThan(3)

  const asked = hub.requests.length
  expect(await open()).toEqual(snapshot)
  expect(await open({ settings: { ...context().settings, offline: true } })).toEqual(snapshot)
  expect(hub.requests).toHaveLength(asked)
})

test('without weights the small files are fetched, and the hash is that of the whole model', async () => {
  const small = await open({}, false)
  expect(small.complete).toBe(false)
  expect(fileRequests(weightsFile)).toEqual([])
  const whole = await open()
  expect(whole).toEqual({ ...small, complete: true })
})

test('a connection that breaks again and again is continued, byte by byte', async () => {
  hub.faults.cutAfter = 10_000
  const { folder } = await open()
  const bytes = await readFile(join(source, weightsFile))
  expect(bytes.length).toBeGreaterThan(30_000)
  expect(await readFile(join(folder, weightsFile))).toEqual(bytes)
  const requests = fileRequests(weightsFile)
  const starts = requests.map(({ range }) => Number(range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0))
  expect(starts.length).toBeGreaterThan(3)
  // Bytes that came with the break itself may be asked for again, and no others.
  expect(starts.slice(1).every((start, i) => start > 0 && start >= starts[i]!)).toBe(true)
})

test('an interrupted download goes on where it stopped, in another process too', async () => {
  const controller = new AbortController()
  hub.faults.cutAfter = 12_000
  const progress = (): void => {
    if (fileRequests(weightsFile).length === 2) controller.abort(new Error('stopped by hand'))
  }
  await expect(open({ signal: controller.signal, progress })).rejects.toThrow()
  hub.faults.cutAfter = null
  const part = join(root, 'lab--tiny', hub.commit, `${weightsFile}.part`)
  const { size } = await stat(part)
  expect(size).toBeGreaterThanOrEqual(12_000)
  hub.requests.length = 0
  const { folder } = await open()
  expect(fileRequests(weightsFile).map(({ range }) => range)).toEqual([`bytes=${size}-`])
  expect(await readFile(join(folder, weightsFile))).toEqual(await readFile(join(source, weightsFile)))
})

test('a server that knows no ranges is asked for the whole again', async () => {
  hub.faults.cutAfter = 12_000
  await expect(
    open({ progress: () => void (fileRequests(weightsFile).length > 0 && (hub.faults.status = 503)) }),
  ).rejects.toThrow()
  Object.assign(hub.faults, { cutAfter: null, status: null, ignoreRange: true })
  const { folder } = await open()
  expect(await readFile(join(folder, weightsFile))).toEqual(await readFile(join(source, weightsFile)))
})

test('a corrupt file is refused, removed and downloaded again', async () => {
  hub.faults.corrupt = true
  const error = await open().catch((e: unknown) => e)
  expect(error).toMatchObject({
    code: 'BAD_MODEL',
    message: expect.stringMatching(
      /^config\.json: what came is not what the hub says it is \(sha1 [0-9a-f]{40}, expected/,
    ),
  })
  hub.faults.corrupt = false
  await open({}, false)
  hub.faults.corrupt = true
  await expect(open()).rejects.toThrow(/^model\.safetensors: what came .* \(sha256 [0-9a-f]{64}, expected/)
  await expect(stat(join(root, 'lab--tiny', hub.commit, weightsFile))).rejects.toThrow('ENOENT')
  hub.faults.corrupt = false
  expect(await open()).toMatchObject({ complete: true })
})

test('a token is sent to the hub, and not to where it points', async () => {
  hub.faults.token = 'secret'
  await expect(open()).rejects.toMatchObject({
    message: `${hub.endpoint} does not give lab/tiny (status 401)`,
    hint: expect.stringContaining('set HF_TOKEN'),
  })
  const cdn = await serveHub(source)
  // Another host name of this machine: a redirect to the same origin would keep the header.
  hub.faults.cdn = cdn.endpoint
  const settings = hubSettings({ HF_ENDPOINT: `${hub.endpoint}/`, HF_TOKEN: 'secret' })
  await open({ settings })
  expect(cdn.requests.length).toBeGreaterThan(0)
  expect(new Set(cdn.requests.map(({ authorization }) => authorization))).toEqual(new Set([null]))
  await cdn.close()
})

test('what the hub does not have is said', async () => {
  await expect(
    openSnapshot({ ...model, repo: 'lab/none' }, { weights: true }, context()),
  ).rejects.toMatchObject({
    code: 'BAD_MODEL',
    message: `${hub.endpoint} has no model lab/none at revision main`,
  })
})

test.each([
  ['no network', {}, /cannot be reached \(.*ECONNREFUSED/],
  ['a switch', { HF_HUB_OFFLINE: '1' }, /cannot be reached \(HF_HUB_OFFLINE is set\)/],
])('without the hub (%s) one message says what to do', async (_, env, message) => {
  const { port } = new URL(hub.endpoint)
  await hub.close()
  const settings = hubSettings({ HF_ENDPOINT: `http://127.0.0.1:${port}`, ...env })
  const error = await open({ settings }).catch((e: unknown) => e)
  expect(error).toMatchObject({ code: 'BAD_MODEL', message: expect.stringMatching(message) })
  expect(error).toMatchObject({
    hint: 'where there is a network: hf download lab/tiny --local-dir MODEL; then write folder: MODEL instead of hub:',
  })
  hub = await serveHub(source)
})

test('a hub that stays broken is given up', async () => {
  await open({}, false)
  hub.faults.status = 503
  await expect(open()).rejects.toMatchObject({
    code: 'BAD_MODEL',
    message: expect.stringContaining('status 503'),
    hint: 'the same command goes on where it stopped',
  })
  hub.faults.status = null
  hub.faults.cutAfter = 0
  await expect(open()).rejects.toThrow(/model.safetensors: 0 of \d+ bytes have come, and no more do/)
})

test.each([401, 403, 404])('a definite refusal of a file (status %i) is told at once', async (status) => {
  await open({}, false)
  hub.faults.status = status
  const asked = fileRequests(weightsFile).length
  const settings = { ...context().settings, retryMs: 10_000 }
  const folder = join(root, 'refused')
  const file = { path: weightsFile, size: 10, sha256: null, gitSha1: null }
  await mkdir(folder)
  const { signal } = context()
  const call = downloadFile(file, join(folder, weightsFile), {
    repo: model,
    settings,
    signal,
    arrived: () => {},
  })
  await expect(call).rejects.toMatchObject({ code: 'BAD_MODEL' })
  expect(fileRequests(weightsFile)).toHaveLength(asked + 1)
})

test('a listing that is damaged is asked for again', async () => {
  const whole = await open()
  const listing = join(root, 'lab--tiny', `${hub.commit}.json`)
  const text = await readFile(listing, 'utf8')
  for (const damaged of [text.slice(0, 100), '{}', '']) {
    await writeFile(listing, damaged)
    expect(await open()).toEqual(whole)
    expect(await readFile(listing, 'utf8')).toBe(text)
  }
  expect(await readdir(join(root, 'lab--tiny'))).toEqual(
    expect.not.arrayContaining([`${hub.commit}.json.new`]),
  )
})

test('files outside the folder are never written', async () => {
  hub.faults.extra = [
    { type: 'file', path: '../config.json', size: 1, oid: 'x' },
    { type: 'file', path: 'sub/model.safetensors', size: 1, oid: 'x' },
  ]
  await open()
  await expect(stat(join(root, 'lab--tiny', 'config.json'))).rejects.toThrow('ENOENT')
  hub.faults.extra = [{ type: 'file', size: -1 }]
  root = await mkdtemp(join(dir, 'store-'))
  await expect(open()).rejects.toThrow('the answer is not that of a model hub')
})

test('a branch stays at its commit; a commit needs no branch', async () => {
  const first = await open()
  hub.commit = 'f'.repeat(40)
  expect(await open()).toEqual(first)
  const second = await openSnapshot({ ...model, revision: hub.commit }, { weights: true }, context())
  expect(second.commit).toBe(hub.commit)
  expect(second.hash).not.toBe(first.hash)
})

test("another program's cache is used, with the same hash", async () => {
  const downloaded = await open()
  const cache = join(root, 'foreign')
  const repo = join(cache, 'models--lab--tiny')
  await mkdir(join(repo, 'refs'), { recursive: true })
  await writeFile(join(repo, 'refs', 'main'), hub.commit)
  await cp(source, join(repo, 'snapshots', hub.commit), { recursive: true })
  const asked = hub.requests.length
  const found = await open({ root: join(root, 'empty'), env: { HF_HUB_CACHE: cache } })
  expect(found).toEqual({ ...downloaded, folder: join(repo, 'snapshots', hub.commit) })
  expect(hub.requests).toHaveLength(asked)
  // One that lacks what the hub is known to list is not used; where the listing is not known, it is.
  await rm(join(repo, 'snapshots', hub.commit, 'generation_config.json'))
  const small = join(root, 'small')
  await open({ root: small }, false)
  const known = await open({ root: small, env: { HF_HUB_CACHE: cache } })
  expect(known).toMatchObject({ hash: downloaded.hash, complete: true })
  expect(known.folder.startsWith(small)).toBe(true)
  const unknown = await open({ root: join(root, 'empty'), env: { HF_HUB_CACHE: cache } })
  expect(unknown).toMatchObject({ folder: found.folder, complete: true })
  expect(unknown.hash).not.toBe(downloaded.hash)
  // One that lacks its weights is not used.
  await rm(join(repo, 'snapshots', hub.commit, weightsFile))
  const again = await open({ root: join(root, 'empty'), env: { HF_HUB_CACHE: cache } })
  expect(again.folder.startsWith(join(root, 'empty'))).toBe(true)
})
