/** A data file of a hub on this machine: found in a cache or downloaded, with the checksums of its bytes. */
import { mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isPattern } from '../../shards.ts'
import type { HubDataset } from '../../spec/data-source.ts'
import { hashFile } from '../../store/canonical.ts'
import { knownHash } from '../../store/file-hashes.ts'
import { waitForLock } from '../../store/lock.ts'
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
import { chooseFiles, isDataFile } from './choice.ts'
import { type HubRepo, listFiles, resolveCommit } from './client.ts'
import { fetcher, type HubContext } from './fetch.ts'

export interface DatasetFile {
  /** What `readRows` reads; `*` stands for shards, which are all there. */
  readonly file: string
  readonly commit: string
  /** In the repository. */
  readonly path: string
  /** Of each of its files, in order. */
  readonly sha256: readonly string[]
}

/**
 * Finds or downloads a file of a dataset. Without `download` large files stay where they are: the hub tells their checksums,
 * so that the answer is the same. Throws BAD_INPUT.
 */
export async function openDataset(
  dataset: HubDataset,
  { download }: { readonly download: boolean },
  context: HubContext,
): Promise<DatasetFile> {
  const found = (await inStore(dataset, download, context)) ?? (await inForeignCache(dataset, context))
  if (found !== null) return found
  const folder = repoFolder(context.root, repoOf(dataset))
  await mkdir(folder, { recursive: true })
  const lock = await waitForLock(join(folder, 'lock'), context.signal)
  try {
    return await fromHub(dataset, download, context)
  } finally {
    lock.release()
  }
}

function repoOf({ repo, revision }: HubDataset): HubRepo {
  return { kind: 'dataset', repo, revision }
}

/** What the store has; without `download` a known checksum will do. */
async function inStore(
  dataset: HubDataset,
  download: boolean,
  { root }: HubContext,
): Promise<DatasetFile | null> {
  const repo = repoOf(dataset)
  const commit = await readRef(root, repo)
  const listed = commit === null ? null : await readListing(root, repo, commit)
  if (commit === null || listed === null) return null
  const { path, files } = chooseFiles(dataset, listed, commit)
  const folder = snapshotFolder(root, repo, commit)
  const sha256: string[] = []
  for (const file of files) {
    const present = await isPresent(folder, file)
    if (!present && (download || file.sha256 === null)) return null
    sha256.push(file.sha256 ?? (await hashFile(join(folder, file.path))))
  }
  return { file: join(folder, path), commit, path, sha256 }
}

/** What the hub's own programs have downloaded, if it is known to be the whole of what is asked. */
async function inForeignCache(dataset: HubDataset, { root, env }: HubContext): Promise<DatasetFile | null> {
  const repo = repoOf(dataset)
  const pinned = await readRef(root, repo)
  const found = await foreignSnapshot({ ...repo, revision: pinned ?? repo.revision }, env)
  if (found === null) return null
  const { folder, commit } = found
  const listed = await readListing(root, repo, commit)
  if (listed === null && (dataset.path === null || isPattern(dataset.path))) return null
  const { path, files } =
    listed === null
      ? { path: dataset.path ?? '', files: [{ path: dataset.path ?? '' }] }
      : chooseFiles(dataset, listed, commit)
  const sha256: string[] = []
  for (const file of files) {
    const there = 'size' in file ? isPresent(folder, file) : isFile(join(folder, file.path))
    if (!(await there)) return null
    sha256.push(await knownHash(dirname(root), join(folder, file.path)))
  }
  await writeRef(root, repo, commit)
  return { file: join(folder, path), commit, path, sha256 }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}

async function fromHub(dataset: HubDataset, download: boolean, context: HubContext): Promise<DatasetFile> {
  const { root, settings, signal } = context
  const repo = repoOf(dataset)
  const commit = (await readRef(root, repo)) ?? (await resolveCommit({ repo, settings, signal }))
  const pinned: HubRepo = { ...repo, revision: commit }
  const listed =
    (await readListing(root, repo, commit)) ??
    (await listFiles({ repo: pinned, settings, signal })).filter(({ path }) => isDataFile(path))
  const { path, files } = chooseFiles(dataset, listed, commit)
  await writeListing(root, repo, commit, listed)
  await writeRef(root, repo, commit)

  const folder = snapshotFolder(root, repo, commit)
  await mkdir(folder, { recursive: true })
  // Files that are small enough for git have no sha256 until they are here.
  await fetcher(pinned, folder, context)(files.filter(({ sha256 }) => download || sha256 === null))
  const sha256: string[] = []
  for (const file of files) sha256.push(file.sha256 ?? (await hashFile(join(folder, file.path))))
  return { file: join(folder, path), commit, path, sha256 }
}
