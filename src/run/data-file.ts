/** A data source as a file on this machine, downloaded if it is a hub's, with one hash of its content. */
import { LabError, messageOf } from '../errors.ts'
import { filesOf } from '../shards.ts'
import type { DataSource } from '../spec/data-source.ts'
import { keyOf } from '../store/canonical.ts'
import { knownHash } from '../store/file-hashes.ts'
import type { HubRead } from './hub/client.ts'
import { openDataset } from './hub/dataset.ts'
import { type DownloadProgress, hubContext } from './hub/fetch.ts'

/** What a stage or an eval reads, and what stands for it in keys. */
export interface DataFile {
  /** A path; `*` in its name stands for shards. */
  readonly file: string
  /** Of the content: the same for the same bytes, on whatever way they came. */
  readonly sha256: string
  /** Of each shard, in order. */
  readonly parts: readonly string[]
  /** Where a hub had it. */
  readonly hub?: HubRead
}

export interface DataFileRequest {
  /** Root of the store. */
  readonly store: string
  /** false: large files of a hub may stay there, if only their hash is wanted. */
  readonly download: boolean
  readonly signal: AbortSignal
  /** Of a hub: `organisation/name`, and how far its download is. */
  readonly downloading?: ((repo: string, progress: DownloadProgress) => void) | undefined
}

/** Throws BAD_INPUT for a file that cannot be read or had. */
export async function openDataFile(source: DataSource, request: DataFileRequest): Promise<DataFile> {
  if (source.kind === 'hub') {
    const { store, download, signal, downloading } = request
    const progress = (done: DownloadProgress): void => downloading?.(source.repo, done)
    const context = hubContext(store, { signal, progress })
    const { file, commit, path, sha256 } = await openDataset(source, { download }, context)
    const hub = { kind: 'dataset', repo: source.repo, revision: source.revision, commit, path } as const
    return { file, sha256: hashOf(sha256), parts: sha256, hub }
  }
  const { file } = source
  try {
    const parts: string[] = []
    for (const part of await filesOf(file)) parts.push(await knownHash(request.store, part))
    return { file, sha256: hashOf(parts), parts }
  } catch (error) {
    throw new LabError('BAD_INPUT', `cannot read ${file}: ${messageOf(error)}`, {
      hint: 'name the file with --set files.NAME=PATH, or under `files:` in the experiment',
      cause: error,
    })
  }
}

/** A file's own hash; of shards one hash over theirs. */
function hashOf(parts: readonly string[]): string {
  const [only, second] = parts
  return only !== undefined && second === undefined ? only : keyOf(parts)
}
