/** A data file that an argument names: a path, or `hub:organisation/name[@revision][/path]`, which is downloaded. */
import { parseSource, sourceName } from '../spec/data-source.ts'
import { downloadEvent } from '../run/download-event.ts'
import { openDataset } from '../run/hub/dataset.ts'
import { type DownloadProgress, hubContext } from '../run/hub/fetch.ts'
import type { Terminal } from './terminal.ts'

export interface NamedFile {
  readonly file: string
  /** As it was named; of a hub with the commit and the path that were meant. */
  readonly title: string
}

export interface DownloadTools {
  /** Root of the store. */
  readonly store: string
  readonly terminal: Terminal
  readonly signal: AbortSignal
}

/** Throws BAD_INPUT for what a hub does not give; whether a local file exists is seen when it is read. */
export async function openArgument(
  argument: string,
  { store, terminal, signal }: DownloadTools,
): Promise<NamedFile> {
  const source = parseSource(argument)
  if (source.kind === 'file') return { file: argument, title: argument }
  const progress = (done: DownloadProgress): void => terminal.show(downloadEvent(source.repo, done))
  const context = hubContext(store, { signal, progress })
  const { file, path, commit } = await openDataset(source, { download: true }, context).finally(() =>
    terminal.finish(),
  )
  return { file, title: sourceName({ ...source, path, revision: commit }) }
}
