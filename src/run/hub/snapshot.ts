/** A model of a hub as a folder on this machine: found in a cache or downloaded, with one hash of its commit and files. */
import { createHash } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { LabError } from '../../errors.ts'
import { hashFile } from '../../store/canonical.ts'
import { knownHash } from '../../store/file-hashes.ts'
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
import { type HubFile, type HubRepo, listFiles, resolveCommit } from './client.ts'
import { fetcher, type HubContext } from './fetch.ts'

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
const adapterConfig = 'adapter_config.json'
const adapterFiles = [adapterConfig, 'adapter_model.safetensors'] as const
/** An adapter may leave them with its model. */
const adapterOptional = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'] as const

/** A repository of a PEFT adapter has no config.json of a model. */
const isAdapter = (names: ReadonlySet<string>): boolean =>
  names.has(adapterConfig) && !names.has('config.json')
const indexFile = 'model.safetensors.index.json'

/**
 * Finds or downloads a model. Without `weights`, only the small files are fetched; the hash is the same, as the hub tells
 * the checksums of large files. Throws BAD_MODEL.
 */
export async function openSnapshot(
  model: HubRepo,
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
async function ownSnapshot(model: HubRepo, { root }: HubContext): Promise<HubSnapshot | null> {
  const commit = await readRef(root, model)
  const files = commit === null ? null : await readListing(root, model, commit)
  if (commit === null || files === null) return null
  const folder = snapshotFolder(root, model, commit)
  const missing = []
  for (const file of files) if (!(await isPresent(folder, file))) missing.push(file)
  if (missing.some((file) => !isWeights(file.path))) return null
  return { folder, commit, hash: hashOf(commit, files), complete: missing.length === 0 }
}

async function wholeForeignSnapshot(model: HubRepo, context: HubContext): Promise<HubSnapshot | null> {
  const found = await foreignSnapshot(model, context.env)
  if (found === null) return null
  const { folder, commit } = found
  const names = new Set(await readdir(folder))
  const wanted = await modelFiles(names, folder).catch(() => null)
  const listed = (await readListing(context.root, model, commit)) ?? []
  if (wanted === null || [...wanted, ...listed.map(({ path }) => path)].some((name) => !names.has(name)))
    return null
  const files = await Promise.all(
    wanted.map(async (path) => ({
      path,
      sha256: await knownHash(dirname(context.root), join(folder, path)),
    })),
  )
  return { folder, commit, hash: hashOf(commit, files), complete: true }
}

async function download(model: HubRepo, weights: boolean, context: HubContext): Promise<HubSnapshot> {
  const { root, signal } = context
  await mkdir(repoFolder(root, model), { recursive: true })
  const lock = await waitForLock(join(repoFolder(root, model), 'lock'), signal)
  try {
    return await downloadLocked(model, weights, context)
  } finally {
    lock.release()
  }
}

async function downloadLocked(model: HubRepo, weights: boolean, context: HubContext): Promise<HubSnapshot> {
  const { root, settings, signal } = context
  const asking = { settings, signal }
  const commit = (await readRef(root, model)) ?? (await resolveCommit({ repo: model, ...asking }))
  const pinned: HubRepo = { ...model, revision: commit }
  const folder = snapshotFolder(root, model, commit)
  await mkdir(folder, { recursive: true })

  const listed = await listFiles({ repo: pinned, ...asking })
  const there = new Map(listed.map((file) => [file.path, file]))
  const fetch = fetcher(pinned, folder, context)
  const fetchAll = (names: readonly string[]): Promise<void> =>
    fetch(names.flatMap((name) => there.get(name) ?? []))

  const known = new Set(there.keys())
  const needed = isAdapter(known) ? [adapterConfig] : configFiles
  const small = isAdapter(known)
    ? [adapterConfig, ...adapterOptional]
    : [...configFiles, ...optionalFiles, ...(known.has(singleFile) ? [] : [indexFile])]
  const absent = needed.find((name) => !known.has(name))
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
  if (isAdapter(known)) {
    const lost = adapterFiles.find((name) => !known.has(name))
    if (lost === undefined) return [...adapterFiles, ...adapterOptional.filter((name) => known.has(name))]
    throw new LabError('BAD_MODEL', `the adapter has no ${lost}`, {
      hint: 'save it again with save_pretrained, which writes safetensors, and write folder: PATH',
    })
  }
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
