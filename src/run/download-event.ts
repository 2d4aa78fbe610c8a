/** Tells people of a download in the words of a run. */
import type { RunEvent } from './events.ts'
import type { DownloadProgress } from './hub/fetch.ts'

/** `repo` is `organisation/name`. */
export function downloadEvent(
  repo: string,
  { doneBytes, totalBytes, secondsLeft }: DownloadProgress,
): RunEvent {
  const left = secondsLeft === null ? {} : { secondsLeft }
  const [done, total] = [doneBytes, totalBytes].map((bytes) => Math.round(bytes / 1e6)) as [number, number]
  const progress = { done, total, unit: 'MB' as const, ...left }
  return { type: 'progress', title: `download ${repo}`, progress }
}
