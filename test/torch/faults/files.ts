/** What the files of a run say of its trainings, and the memory that a process has had. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes that a process has had in memory at most; 0 when it has ended. */
export function peakOf(pid: number): number {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return 1024 * Number(kilobytes ?? 0)
  } catch {
    return 0
  }
}

/** The working folder of the training that is not done. */
export function workFolder(store: string): string {
  const [name] = readdirSync(join(store, 'work')).filter((one) => one.startsWith('train-'))
  return join(store, 'work', name ?? 'none')
}

interface Told {
  readonly type: string
  readonly step?: number
  readonly message?: string
}

/** Events of a training's working folder, and where its last process began. */
export function told(store: string): { events: Told[]; lastStart: number | undefined } {
  const lines = readFileSync(join(workFolder(store), 'events.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
  const events = lines.flatMap((line) => (line.endsWith('}') ? [JSON.parse(line) as Told] : []))
  return { events, lastStart: events.findLast(({ type }) => type === 'start')?.step }
}

/** Steps in the metrics of a checkpoint. */
export function stepsOf(store: string, key: string): number[] {
  const lines = readFileSync(join(store, 'objects', 'checkpoint', key, 'metrics.jsonl'), 'utf8')
  return lines
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { step: number }).step)
}

/** Key of the checkpoint after so many steps. */
export function checkpointOf(store: string, steps: number): string {
  const keys = readdirSync(join(store, 'objects', 'checkpoint'))
  const found = keys.find((key) => stepsOf(store, key).length === steps)
  if (found === undefined) throw new Error(`no checkpoint of ${steps} steps`)
  return found
}
