/** Builds a dataset from a prompt file in one go: what a trainer would see, or nothing. */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { LabError } from '../errors.ts'
import { followLinks, makeFolder } from '../output-path.ts'
import { writeDataset, type DatasetPlan, type DatasetStats, type DatasetTools } from './dataset.ts'
import type { PromptFormat } from './formats.ts'
import { loadPromptFile, type PromptFile, type PromptFileOptions } from './prompts.ts'
import type { AnsweredRow, Counts } from './rows.ts'

export interface BuiltDataset {
  readonly format: PromptFormat
  /** Rows of the file that gave no question, or have no response. */
  readonly unread: Counts
  /** What kept rows said that is not used. */
  readonly unused: Counts
  readonly stats: DatasetStats
}

/** Reads `file` and writes its dataset into `out`, which must be new or empty. Throws BAD_INPUT. */
export async function buildDataset(
  file: string,
  out: string,
  options: PromptFileOptions & DatasetPlan,
  tools: DatasetTools,
): Promise<BuiltDataset> {
  await requireFree(await followLinks(out), out)
  const loaded = await loadPromptFile(file, options)
  tools.signal.throwIfAborted()
  const { rows, missing } = recordedAnswers(loaded)
  const stats = await intoNewFolder(out, (folder) => writeDataset(folder, rows, options, tools))
  const unread = { ...loaded.dropped, no_recorded_response: missing }
  return { format: loaded.format, unread, unused: loaded.unused, stats }
}

/** The questions whose response the file records. Files do not say how a response ended: it counts as complete. */
function recordedAnswers({ rows }: Pick<PromptFile, 'rows'>): {
  readonly rows: readonly AnsweredRow[]
  readonly missing: number
} {
  const answered = rows.flatMap(({ id, prompt, response }) =>
    response === undefined ? [] : [{ id, prompt, response, finish: 'stop' as const }],
  )
  return { rows: answered, missing: rows.length - answered.length }
}

/** Fills a temporary sibling and renames it to `out` at the end. Throws BAD_INPUT if something is there already. */
export async function intoNewFolder<T>(out: string, fill: (folder: string) => Promise<T>): Promise<T> {
  const target = await followLinks(out)
  await requireFree(target, out)
  const folder = `${target}.partial-${randomUUID()}`
  await makeFolder(dirname(target))
  await mkdir(folder)
  try {
    const result = await fill(folder)
    await rmdir(target).catch(() => undefined) // an empty folder gives way
    await rename(folder, target)
    return result
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function requireFree(target: string, out: string): Promise<void> {
  const found = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    if (error.code === 'ENOTDIR') throw new LabError('BAD_INPUT', `${out} is a file; --out names a folder`)
    throw error
  })
  if (found.length > 0) {
    throw new LabError('BAD_INPUT', `${out} is not empty`, {
      hint: 'name a new folder, or remove what is there',
    })
  }
}
