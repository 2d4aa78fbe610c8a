/** Tells people of a download in the words of a run. */
import type { RunEvent } from './events.ts'
import type { DownloadProgress } from './hub/fetch.ts'

/** `repo` is `organisation/name`. */
export function downloadEvent(
  repo: string,
  { doneBytes, totalBytes, secondsLeft }: DownloadProgress,
): RunEvent {
  const left = secondsLeft === null ? {} : { secondsLeft }
  // Megabytes, those of small files with a decimal.
  const perMegabyte = totalBytes < 1e8 ? 10 : 1
  const megabytes = (bytes: number): number => Math.ceil((bytes * perMegabyte) / 1e6) / perMegabyte
  const progress = { done: megabytes(doneBytes), total: megabytes(totalBytes), unit: 'MB' as const, ...left }
  return { type: 'progress', title: `download ${repo}`, progress }
}
