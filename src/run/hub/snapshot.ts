/** A model of a hub as a folder on this machine: found in a cache or downloaded, with one hash of its commit and files. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, stat, statfs } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { LabError } from '../../errors.ts'
import { hashFile } from '../../store/canonical.ts'
import { waitForLock } from '../../store/lock.ts'
import { readJson } from '../../model/json-file.ts'
import { shardIndexSchema } from '../../model/shards.ts'
import {
  foreignSnapshot,
  isPresent,
  readListing,
  readRef,
  repoFolder,
  snapshotFolder,
  writeListing,
  writeRef,
} from './cache.ts'
import { type HubFile, type HubModel, type HubSettings, listFiles, resolveCommit } from './client.ts'
import { downloadFile } from './download.ts'

/** How far a download is. */
export interface DownloadProgress {
  readonly doneBytes: number
  readonly totalBytes: number
  /** At the speed so far; null before anything has come. */
  readonly secondsLeft: number | null
}

export interface HubContext {
  /** Folder of the store in which downloads are kept. */
  readonly root: string
  readonly settings: HubSettings
  /** Where HF_HOME and HF_HUB_CACHE are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
  readonly progress?: (progress: DownloadProgress) => void
}

export interface HubSnapshot {
  readonly folder: string
  readonly commit: string
  /**
   * Over the commit and the sha256 of every file: the same wherever the files were found. Only another program's cache that lacks
   * an optional file counts as whole, and has another hash, as long as nobody asked the hub what it lists.
   */
  readonly hash: string
  /** The weights lie in the folder. */
  readonly complete: boolean
}

const configFiles = ['config.json', 'tokenizer.json', 'tokenizer_config.json'] as const
const optionalFiles = ['generation_config.json', 'chat_template.jinja'] as const
const singleFile = 'model.safetensors'
const indexFile = 'model.safetensors.index.json'

/**
 * Finds or downloads a model. Without `weights`, only the small files are fetched; the hash is the same, as the hub tells
 * the checksums of large files. Throws BAD_MODEL.
 */
export async function openSnapshot(
  model: HubModel,
  { weights }: { readonly weights: boolean },
  context: HubContext,
): Promise<HubSnapshot> {
  const own = await ownSnapshot(model, context)
  if (own?.complete) return own
  const foreign = await wholeForeignSnapshot(model, context)
  if (foreign !== null) return foreign
  if (own !== null && !weights) return own
  return download(model, weights, context)
}

/** What the store has, if it has all small files. */
async function ownSnapshot(model: HubModel, { root }: HubContext): Promise<HubSnapshot | null> {
  const commit = await readRef(root, model)
  const files = commit === null ? null : await readListing(root, model, commit)
  if (commit === null || files === null) return null
  const folder = snapshotFolder(root, model, commit)
  const missing = []
  for (const file of files) if (!(await isPresent(folder, file))) missing.push(file)
  if (missing.some((file) => !isWeights(file.path))) return null
  return { folder, commit, hash: hashOf(commit, files), complete: missing.length === 0 }
}

async function wholeForeignSnapshot(model: HubModel, context: HubContext): Promise<HubSnapshot | null> {
  const found = await foreignSnapshot(model, context.env)
  if (found === null) return null
  const { folder, commit } = found
  const names = new Set(await readdir(folder))
  const wanted = await modelFiles(names, folder).catch(() => null)
  const listed = (await readListing(context.root, model, commit)) ?? []
  if (wanted === null || [...wanted, ...listed.map(({ path }) => path)].some((name) => !names.has(name)))
    return null
  const files = await Promise.all(
    wanted.map(async (path) => ({ path, sha256: await hashFile(join(folder, path)) })),
  )
  return { folder, commit, hash: hashOf(commit, files), complete: true }
}

async function download(model: HubModel, weights: boolean, context: HubContext): Promise<HubSnapshot> {
  const { root, signal } = context
  await mkdir(repoFolder(root, model), { recursive: true })
  const lock = await waitForLock(join(repoFolder(root, model), 'lock'), signal)
  try {
    return await downloadLocked(model, weights, context)
  } finally {
    lock.release()
  }
}

async function downloadLocked(model: HubModel, weights: boolean, context: HubContext): Promise<HubSnapshot> {
  const { root, settings, signal } = context
  const commit = (await readRef(root, model)) ?? (await resolveCommit(model, settings, signal))
  const pinned: HubModel = { repo: model.repo, revision: commit }
  const folder = snapshotFolder(root, model, commit)
  await mkdir(folder, { recursive: true })

  const there = new Map((await listFiles(pinned, settings, signal)).map((file) => [file.path, file]))
  const progress = progressOf(context)
  const fetchAll = async (names: readonly string[]): Promise<void> => {
    const files = names.flatMap((name) => there.get(name) ?? [])
    const missing: HubFile[] = []
    for (const file of files) if (!(await isPresent(folder, file))) missing.push(file)
    await checkSpace(folder, missing)
    progress.expect(missing)
    for (const file of missing) {
      await downloadFile(file, join(folder, file.path), {
        model: pinned,
        settings,
        signal,
        arrived: progress.arrived,
      })
    }
  }

  const known = new Set(there.keys())
  const small = [...configFiles, ...optionalFiles, ...(known.has(singleFile) ? [] : [indexFile])]
  const absent = configFiles.find((name) => !known.has(name))
  if (absent !== undefined)
    throw new LabError('BAD_MODEL', `${model.repo} has no ${absent}`, { hint: `commit ${commit}` })
  await fetchAll(small)
  const wanted = await modelFiles(known, folder)
  const lost = wanted.find((name) => !known.has(name))
  if (lost !== undefined)
    throw new LabError('BAD_MODEL', `${model.repo}: its index names ${lost}, which it has not`)
  // Weights that are small enough for git have no sha256 until they are here.
  await fetchAll(wanted.filter((name) => weights || there.get(name)?.sha256 === null))

  const files: HubFile[] = []
  for (const name of wanted) {
    const file = there.get(name)
    if (file === undefined) continue
    files.push({ ...file, sha256: file.sha256 ?? (await hashFile(join(folder, name))) })
  }
  await writeListing(root, model, commit, files)
  await writeRef(root, model, commit)
  return { folder, commit, hash: hashOf(commit, files), complete: weights }
}

/** The names of the files that make the model: shards as the index names them. */
async function modelFiles(known: ReadonlySet<string>, folder: string): Promise<string[]> {
  const optional = optionalFiles.filter((name) => known.has(name))
  if (known.has(singleFile)) return [...configFiles, ...optional, singleFile]
  if (!known.has(indexFile)) {
    throw new LabError('BAD_MODEL', 'the model has no weights in safetensors files', {
      hint: 'save it again with save_pretrained, and write folder: PATH',
    })
  }
  const file = join(folder, indexFile)
  const shards = new Set(Object.values((await readJson(file, shardIndexSchema)).weight_map))
  for (const shard of shards) {
    if (basename(shard) !== shard || !isWeights(shard))
      throw new LabError('BAD_MODEL', `${file}: shard "${shard}" is not a safetensors file of the model`)
  }
  return [...configFiles, ...optional, indexFile, ...[...shards].sort()]
}

function isWeights(path: string): boolean {
  return path.endsWith('.safetensors')
}

function hashOf(commit: string, files: readonly Pick<HubFile, 'path' | 'sha256'>[]): string {
  const lines = files.map(({ path, sha256 }) => `${path} ${sha256}\n`).sort()
  return createHash('sha256')
    .update(`commit ${commit}\n${lines.join('')}`)
    .digest('hex')
}

/** Throws BAD_MODEL if the disk has no room for what is missing. */
async function checkSpace(folder: string, missing: readonly HubFile[]): Promise<void> {
  let needed = 0
  for (const { path, size } of missing) {
    const part = await stat(join(folder, `${path}.part`)).catch(() => null)
    needed += size - (part?.size ?? 0)
  }
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  if (needed <= free) return
  throw new LabError(
    'BAD_MODEL',
    `the download needs ${(needed / 1e9).toFixed(1)} GB, but ${folder} has room for ${(free / 1e9).toFixed(1)} GB`,
    { hint: 'choose a store on a larger disk with --store DIR' },
  )
}

interface ProgressCount {
  expect(files: readonly HubFile[]): void
  arrived(this: void, bytes: number): void
}

function progressOf({ progress }: HubContext): ProgressCount {
  let totalBytes = 0
  let doneBytes = 0
  /** What an earlier, interrupted download left does not count as speed. */
  let fetched = 0
  let started: number | null = null
  return {
    expect: (files) => {
      totalBytes += files.reduce((sum, { size }) => sum + size, 0)
    },
    arrived: (bytes) => {
      doneBytes += bytes
      if (started === null) started = performance.now()
      else fetched += bytes
      const seconds = (performance.now() - started) / 1000
      const secondsLeft = fetched > 0 ? ((totalBytes - doneBytes) * seconds) / fetched : null
      progress?.({ doneBytes, totalBytes, secondsLeft })
    },
  }
}
