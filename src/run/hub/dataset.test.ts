/** Data files of a hub, from a real server: whole, interrupted, corrupt, refused, offline, moved, and from another program's cache. */
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { filesOf } from '../../shards.ts'
import type { HubDataset } from '../../spec/data-source.ts'
import { hashFile } from '../../store/canonical.ts'
import { hubSettings } from './client.ts'
import { openDataset } from './dataset.ts'
import type { DownloadProgress, HubContext } from './fetch.ts'
import { type HubServer, serveHub } from './server.fixture.ts'

const large = 'data/train-00000-of-00001-a09b74b3ef9c3b56.parquet'
const shards = [0, 1, 2].map((i) => `data/train-0000${i}-of-00003.jsonl`)
const alpaca: HubDataset = { repo: 'lab/alpaca', revision: 'main', path: null }
const mixed: HubDataset = { repo: 'lab/mixed', revision: 'main', path: null }

let dir = ''
let hub: HubServer
let root = ''
const source = (repo: string, path: string): string => join(dir, repo, path)

/** What lies in the repositories; sizes above 4096 bytes are large. */
const repositories: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'lab/alpaca': { [large]: 'p'.repeat(50_000), 'README.md': '# Alpaca', 'dataset_infos.json': '{}' },
  'lab/mixed': {
    ...Object.fromEntries(shards.map((path, i) => [path, `{"prompt": "${i}"}\n`.repeat(1000)])),
    'test.jsonl': '{"prompt": "small"}\n',
    'all/odd name #1?.json': '[]',
    ...Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`subject-${i}/test.json`, '[]'])),
    'figure.csv': 'a,b',
    '.hidden/x.json': '{}',
  },
  'lab/text': { 'README.md': '# Nothing', 'rows.csv': 'a,b' },
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hub-data-'))
  for (const [repo, files] of Object.entries(repositories)) {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(source(repo, path)), { recursive: true })
      await writeFile(source(repo, path), content)
    }
  }
})
afterAll(() => rm(dir, { recursive: true }))
const serve = (): Promise<HubServer> =>
  serveHub(null, Object.fromEntries(Object.keys(repositories).map((repo) => [repo, join(dir, repo)])))
beforeEach(async () => {
  root = await mkdtemp(join(dir, 'store-'))
  hub = await serve()
})
afterEach(() => hub.close())

function context(more: Partial<HubContext> = {}): HubContext {
  const settings = { ...hubSettings({ HF_ENDPOINT: hub.endpoint }), retryMs: 1 }
  const env = { HF_HUB_CACHE: join(dir, 'nothing') }
  return { root, settings, env, signal: new AbortController().signal, ...more }
}
const open = (dataset: HubDataset, more: Partial<HubContext> = {}, download = true) =>
  openDataset(dataset, { download }, context(more))
const offline = () => ({ settings: { ...context().settings, offline: true } })
const fileRequests = (path: string) => hub.requests.filter((request) => request.path.endsWith(`/${path}`))

describe('what is downloaded', () => {
  test('the only data file of a repository, where it lies there; the next time nothing is asked', async () => {
    const seen: DownloadProgress[] = []
    const opened = await open(alpaca, { progress: (progress) => seen.push(progress) })
    expect(opened).toEqual({
      file: join(root, 'datasets/lab--alpaca', hub.commit, large),
      path: large,
      commit: hub.commit,
      sha256: [await hashFile(source('lab/alpaca', large))],
    })
    expect(await readFile(opened.file)).toEqual(await readFile(source('lab/alpaca', large)))
    expect(seen.at(-1)).toEqual({ doneBytes: 50_000, totalBytes: 50_000, secondsLeft: 0 })
    expect(hub.requests.map(({ path }) => path.replace(hub.commit, 'COMMIT'))).toEqual([
      '/api/datasets/lab/alpaca/revision/main',
      '/api/datasets/lab/alpaca/tree/COMMIT',
      '/api/datasets/lab/alpaca/tree/COMMIT',
      `/datasets/lab/alpaca/resolve/COMMIT/${large}`,
    ])

    hub.requests.length = 0
    expect(await open(alpaca)).toEqual(opened)
    expect(await open({ ...alpaca, path: large }, offline())).toEqual(opened)
    expect(hub.requests).toEqual([])
  })

  test('one file of many, and nothing else; a small one has its hash too', async () => {
    const { file, sha256 } = await open({ ...mixed, path: 'test.jsonl' })
    expect(await readFile(file, 'utf8')).toBe('{"prompt": "small"}\n')
    expect(sha256).toEqual([await hashFile(source('lab/mixed', 'test.jsonl'))])
    expect(hub.requests.filter(({ path }) => path.includes('/resolve/'))).toHaveLength(1)
    const odd = await open({ ...mixed, path: 'all/odd name #1?.json' })
    expect(await readFile(odd.file, 'utf8')).toBe('[]')
  })

  test('shards, in the order of their names', async () => {
    const opened = await open({ ...mixed, path: 'data/train-*.jsonl' })
    const files = await filesOf(opened.file)
    expect(files.map((file) => file.slice(-shards[0]!.length))).toEqual(shards)
    expect(opened.sha256).toEqual(await Promise.all(files.map(hashFile)))
    expect(await open({ ...mixed, path: 'data/train-*.jsonl' }, offline())).toEqual(opened)
    // One is lost: it is fetched again, and the rest is not.
    await rm(files[1]!)
    hub.requests.length = 0
    expect(await open({ ...mixed, path: 'data/train-*.jsonl' })).toEqual(opened)
    expect(hub.requests.map(({ path }) => path.split('/').at(-1))).toEqual([shards[1]!.slice('data/'.length)])
  })

  test('without download a large file stays at the hub, and its hash is the same', async () => {
    const known = await open(alpaca, {}, false)
    expect(fileRequests(large)).toEqual([])
    await expect(stat(known.file)).rejects.toThrow('ENOENT')
    expect(await open(alpaca, offline(), false)).toEqual(known)
    expect(await open(alpaca)).toEqual(known)
    expect((await open({ ...mixed, path: 'test.jsonl' }, {}, false)).sha256).toHaveLength(1)
  })
})

describe('which file is meant', () => {
  test('of several, the error lists what there is: shards as one, the whole before its subjects, at most twenty', async () => {
    const error = await open(mixed).catch((e: unknown) => e)
    expect(error).toMatchObject({
      code: 'BAD_INPUT',
      message: `lab/mixed (main, commit ${hub.commit.slice(0, 7)}) has 33 data files: which one?`,
    })
    const lines = (error as { hint: string }).hint.split('\n')
    expect(lines.slice(0, 5)).toEqual([
      'name one with path:, on a command line hub:lab/mixed/PATH; it has',
      '    all/odd name #1?.json',
      '    data/train-*-of-00003.jsonl (3 files)',
      '    test.jsonl',
      '    subject-0/test.json',
    ])
    expect(lines).toHaveLength(22)
    expect(lines.at(-1)).toBe('    ... and 13 more')
  })

  test.each([
    [
      'lab/mixed',
      'data/none.jsonl',
      /^lab\/mixed \(main, commit [0-9a-f]{7}\) has no file data\/none.jsonl$/,
    ],
    ['lab/mixed', 'data/none-*.jsonl', /has no file data\/none-\*.jsonl$/],
    ['lab/mixed', 'figure.csv', /^lab\/mixed: figure.csv is of a kind that is not read$/],
    ['lab/mixed', '.hidden/x.json', /has no file .hidden\/x.json$/],
    ['lab/text', null, /has no data file that is read$/],
  ])('%s, %s', async (repo, path, message) => {
    await expect(open({ ...mixed, repo, path })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringMatching(message),
    })
    // What was not found does not hold the branch at its commit.
    hub.commit = 'c'.repeat(40)
    expect((await open({ ...mixed, path: 'test.jsonl' })).commit).toBe(hub.commit)
  })

  test('a branch stays at its commit; a commit needs no branch; a branch may have slashes', async () => {
    const first = await open(alpaca)
    const moved = 'f'.repeat(40)
    hub.commit = moved
    expect(await open(alpaca)).toEqual(first)
    const second = await open({ ...alpaca, revision: moved })
    expect(second).toMatchObject({ commit: moved, sha256: first.sha256 })
    expect(second.file).not.toBe(first.file)
    const converted = await open({ ...alpaca, revision: 'refs/convert/parquet' })
    expect(converted).toEqual(second)
  })
})

describe('what goes wrong on the way', () => {
  test('a connection that breaks again and again is continued, byte by byte', async () => {
    hub.faults.cutAfter = 9000
    const { file } = await open(alpaca)
    expect(await hashFile(file)).toBe(await hashFile(source('lab/alpaca', large)))
    const ranges = fileRequests(large).map(({ range }) => range)
    expect(ranges[0]).toBe(null)
    // Bytes that came with the break itself may be asked for again, and no others.
    const starts = ranges.slice(1).map((range) => Number(range?.match(/^bytes=(\d+)-$/)?.[1]))
    expect(starts.length).toBeGreaterThanOrEqual(5)
    expect(starts.every((start, i) => start > 0 && start >= (starts[i - 1] ?? 0))).toBe(true)
  })

  test('an interrupted download goes on where it stopped', async () => {
    const controller = new AbortController()
    hub.faults.cutAfter = 9000
    const progress = (): void => {
      if (fileRequests(large).length === 3) controller.abort(new Error('stopped by hand'))
    }
    await expect(open(alpaca, { signal: controller.signal, progress })).rejects.toThrow()
    hub.faults.cutAfter = null
    const folder = join(root, 'datasets/lab--alpaca', hub.commit)
    const { size } = await stat(join(folder, `${large}.part`))
    expect(size).toBeGreaterThan(0)
    hub.requests.length = 0
    const { file } = await open(alpaca)
    expect(fileRequests(large).map(({ range }) => range)).toEqual([`bytes=${size}-`])
    expect(await hashFile(file)).toBe(await hashFile(source('lab/alpaca', large)))
  })

  test.each([
    ['lab/alpaca', large, 'sha256'],
    ['lab/mixed', 'test.jsonl', 'sha1'],
  ])('of %s a file with another content (%s, %s) is thrown away', async (repo, path, algorithm) => {
    hub.faults.corrupt = true
    await expect(open({ ...alpaca, repo, path })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringMatching(`what came is not what the hub says it is \\(${algorithm} `),
    })
    hub.faults.corrupt = false
    const { file } = await open({ ...alpaca, repo, path })
    expect(await readFile(file)).toEqual(await readFile(source(repo, path)))
  })

  test('what needs an account', async () => {
    hub.faults.token = 'secret'
    await expect(open(alpaca)).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: `${hub.endpoint} does not give lab/alpaca (status 401)`,
      hint: expect.stringContaining('HF_TOKEN'),
    })
    const settings = { ...context().settings, token: 'secret' }
    expect((await open(alpaca, { settings })).path).toBe(large)
    expect(new Set(hub.requests.slice(1).map(({ authorization }) => authorization))).toEqual(
      new Set(['Bearer secret']),
    )
    // Listed, but not given: the terms are not accepted.
    hub.faults.fileStatus = 403
    await expect(open({ ...mixed, path: 'test.jsonl' }, { settings })).rejects.toMatchObject({
      message: `${hub.endpoint} does not give lab/mixed (status 403)`,
      hint: 'the account of HF_TOKEN must have accepted the terms on the page of the dataset',
    })
  })

  test.each([
    [{ ...alpaca, repo: 'lab/none' }, 'has no dataset lab/none at revision main'],
    [{ ...alpaca, revision: 'v9' }, 'has no dataset lab/alpaca at revision v9'],
  ])('what is not there: %j', async (dataset, message) => {
    await expect(open(dataset)).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: `${hub.endpoint} ${message}`,
      hint: expect.stringContaining('organisation/name'),
    })
  })

  test('without the hub one message says what to do, and what is here is enough', async () => {
    const opened = await open(alpaca)
    const { port } = new URL(hub.endpoint)
    await hub.close()
    const settings = { ...hubSettings({ HF_ENDPOINT: `http://127.0.0.1:${port}` }), retryMs: 1 }
    expect(await open(alpaca, { settings })).toEqual(opened)
    for (const dataset of [{ ...alpaca, revision: 'v9' }, mixed]) {
      await expect(open(dataset, { settings })).rejects.toMatchObject({
        code: 'BAD_INPUT',
        message: expect.stringMatching(/is not on this machine, and .* cannot be reached \(.*ECONNREFUSED/),
        hint: expect.stringContaining(`hf download ${dataset.repo}`),
      })
    }
    hub = await serve()
  })

  test('files outside the folder are never written', async () => {
    hub.faults.extra = [
      { type: 'file', path: '../evil.json', size: 1, oid: 'x' },
      { type: 'file', path: 'data/../../evil.json', size: 1, oid: 'x' },
      { type: 'file', path: '/evil.json', size: 1, oid: 'x' },
    ]
    // They are not even among the candidates.
    expect((await open(alpaca)).path).toBe(large)
  })
})

/** What the hub's own programs have: a branch at its commit, and the shards. */
async function cached(commit: string): Promise<{ env: HubContext['env']; folder: string }> {
  const cache = join(root, 'foreign')
  const repo = join(cache, 'datasets--lab--mixed')
  await mkdir(join(repo, 'refs'), { recursive: true })
  await writeFile(join(repo, 'refs', 'main'), commit)
  const folder = join(repo, 'snapshots', commit)
  await cp(source('lab/mixed', 'data'), join(folder, 'data'), { recursive: true })
  return { env: { HF_HUB_CACHE: cache }, folder }
}

describe("another program's cache", () => {
  test('is used for a file that it has, without asking anybody', async () => {
    const { env, folder } = await cached(hub.commit)
    const found = await open({ ...mixed, path: shards[0]! }, { env, ...offline() })
    expect(found.file).toBe(join(folder, shards[0]!))
    expect(found.sha256).toEqual([await hashFile(source('lab/mixed', shards[0]!))])
    expect(hub.requests).toEqual([])
  })

  test('is used for shards once it is known which there are, and only if all are there', async () => {
    const { env, folder } = await cached(hub.commit)
    const pattern = { ...mixed, path: 'data/train-*.jsonl' }
    await expect(open(pattern, { env, ...offline() })).rejects.toThrow('HF_HUB_OFFLINE')
    const known = await open(pattern, { env }, false)
    expect((await open(pattern, { env, ...offline() })).file).toBe(join(folder, 'data/train-*.jsonl'))
    await rm(join(folder, shards[2]!))
    const own = await open(pattern, { env })
    expect(own.file.startsWith(root)).toBe(true)
    expect(own.file).toContain('datasets/lab--mixed')
    expect(own.sha256).toEqual(known.sha256)
  })

  test('does not move a branch that has its commit', async () => {
    const first = await open({ ...mixed, path: shards[0]! }, {}, false)
    const { env } = await cached('d'.repeat(40))
    expect((await open({ ...mixed, path: shards[0]! }, { env })).commit).toBe(first.commit)
  })
})
