/** Fetches the files of a repository that are missing here: room for them is looked at before, and progress is told. */
import { stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { LabError } from '../../errors.ts'
import { isPresent } from './cache.ts'
import { codeOf, type HubFile, type HubRepo, hubSettings, type HubSettings } from './client.ts'
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

/** The hub that the environment names, with its downloads in a store. */
export function hubContext(
  store: string,
  { signal, progress }: Pick<HubContext, 'signal' | 'progress'>,
): HubContext {
  const context = { root: join(store, 'hub'), settings: hubSettings(), env: process.env, signal }
  return progress === undefined ? context : { ...context, progress }
}

/** Fetches those of `files` that are not in the folder; its progress is that of all calls together. */
export type Fetch = (files: readonly HubFile[]) => Promise<void>

export function fetcher(repo: HubRepo, folder: string, context: HubContext): Fetch {
  const { settings, signal } = context
  const progress = progressOf(context)
  return async (files) => {
    const missing: HubFile[] = []
    for (const file of files) if (!(await isPresent(folder, file))) missing.push(file)
    await checkSpace(repo, folder, missing)
    progress.expect(missing)
    for (const file of missing) {
      await downloadFile(file, join(folder, file.path), { repo, settings, signal, arrived: progress.arrived })
    }
  }
}

/** Throws codeOf(repo) if the disk has no room for what is missing. */
async function checkSpace(repo: HubRepo, folder: string, missing: readonly HubFile[]): Promise<void> {
  let needed = 0
  for (const { path, size } of missing) {
    const part = await stat(join(folder, `${path}.part`)).catch(() => null)
    needed += size - (part?.size ?? 0)
  }
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  if (needed <= free) return
  throw new LabError(
    codeOf(repo),
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
