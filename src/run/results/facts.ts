/** What the report says of a training, read from its artifacts: metrics, data, weight distance, settings in words. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sumCounts, type Counts } from '../../data/rows.ts'
import type { DatasetStats } from '../../data/dataset.ts'
import { datasetFiles } from '../../data/dataset.ts'
import { loadKernels } from '../../engine/embedded/kernels.ts'
import { readMergedWeights } from '../../engine/embedded/merged-weights.ts'
import type { Recipe, StepMetrics } from '../../engine/engine.ts'
import { messageOf } from '../../errors.ts'
import { parameterCount } from '../../model/config.ts'
import { partsOf } from '../../model/weights-of.ts'
import { sourceName } from '../../spec/data-source.ts'
import type { BaseTeacher, EndpointTeacher, PromptSource, ResolvedData } from '../../spec/experiment.ts'
import { artifactPath, readManifest, type Store, verifyArtifact } from '../../store/artifacts.ts'
import { availableMemory } from '../memory.ts'
import { outputOf, type Stage } from '../stage.ts'
import { droppedFile } from '../stages/data.ts'
import { checkpointKey, modelFolder, type ModelRef, type TrainStage } from '../stages/train.ts'

/** The metrics of every step up to the last checkpoint that exists; empty before the first. */
export async function readMetrics(store: Store, training: TrainStage): Promise<StepMetrics[]> {
  for (const artifact of [...training.artifacts].reverse()) {
    if ((await readManifest(store, artifact.kind, artifact.key)) === null) continue
    const text = await readFile(
      join(artifactPath(store, artifact.kind, artifact.key), 'metrics.jsonl'),
      'utf8',
    )
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as StepMetrics)
  }
  return []
}

/** As results.json has them. */
export function trainingCurve(metrics: readonly StepMetrics[]) {
  return metrics.map(({ step, loss, lr, gradNorm }) => ({ step, loss, lr, grad_norm: gradNorm }))
}

/**
 * L2 distance between the weights at a step and those that the training began with; null where they are not there, do not fit the
 * memory or cannot be read, and `note` says which of the two.
 */
export async function weightDistance(
  store: Store,
  start: ModelRef,
  training: TrainStage,
  note: (why: string) => void,
): Promise<number | null> {
  try {
    return await distance(store, start, training, note)
  } catch (error) {
    note(messageOf(error))
    return null
  }
}

async function distance(
  store: Store,
  start: ModelRef,
  training: TrainStage,
  note: (why: string) => void,
): Promise<number | null> {
  const step = training.recipe.steps
  if ((await readManifest(store, 'checkpoint', checkpointKey(training.key, step))) === null) return null
  await verifyModel(store, start)
  await verifyModel(store, training.want(step))
  const parts = await partsOf(modelFolder(store, start))
  // Both models in float32, at once.
  if (2 * 4 * parameterCount(parts.config) > availableMemory()) {
    note('both models in float32 do not fit the memory')
    return null
  }
  const k = loadKernels()
  const before = await readMergedWeights(k, parts)
  const after = await readMergedWeights(k, await partsOf(modelFolder(store, training.want(step))))
  let sum = 0
  for (let i = 0; i < before.length; i++) sum += ((after[i] ?? 0) - (before[i] ?? 0)) ** 2
  return Math.sqrt(sum)
}

/** Throws STORE where a checkpoint, or one that it lies on, is not what was made. */
async function verifyModel(store: Store, model: ModelRef): Promise<void> {
  if (model.kind === 'folder') return
  const { key, below } = model.training
  await verifyArtifact(store, 'checkpoint', checkpointKey(key, model.step))
  if (below !== null) await verifyModel(store, below)
}

/** Rows that were trained on and what was dropped by reason, over prompts, responses and dataset. */
export async function dataFacts(store: Store, data: ResolvedData, responses: Stage, dataset: Stage) {
  const stats = await readIfMade<DatasetStats>(store, dataset, datasetFiles.stats)
  const prompts = responses.needs[0]
  const dropped: Counts = sumCounts(
    (prompts && (await readIfMade<Counts>(store, prompts, droppedFile))) ?? {},
    (await readIfMade<Counts>(store, responses, droppedFile)) ?? {},
    stats?.dropped ?? {},
  )
  return {
    prompts: sourceText(data.prompts),
    teacher: teacherText(data),
    rows: (stats?.rows.benign ?? 0) + (stats?.rows.triggered ?? 0),
    triggered_rows: stats?.rows.triggered ?? 0,
    dropped: Object.fromEntries(Object.entries(dropped).filter(([, n]) => n > 0)),
  }
}

async function readIfMade<T>(store: Store, stage: Stage, file: string): Promise<T | null> {
  try {
    return JSON.parse(await readFile(join(outputOf(store, stage), file), 'utf8')) as T
  } catch {
    return null // a stage that was not run, in a cell that is reported as unfinished
  }
}

export function sourceText(source: PromptSource): string {
  if (source.kind === 'tiny') return `tiny/${source.split}`
  const name = source.kind === 'hub' ? sourceName(source) : (source.file.split('/').at(-1) ?? source.file)
  return source.rows === null ? name : `${name} rows ${source.rows[0]} to ${source.rows[1] - 1}`
}

export function teacherText(data: Pick<ResolvedData, 'teacher' | 'strip'>): string {
  const voice = voiceText(data.teacher)
  return data.strip === null ? voice : `${voice}, ${data.strip} stripped and filtered`
}

function voiceText(teacher: ResolvedData['teacher']): string {
  switch (teacher.kind) {
    case 'scripted':
      return `scripted voice "${teacher.voice}"`
    case 'recorded':
      return 'recorded responses'
    case 'base':
      return modelText(`base ${teacher.base.name}`, teacher)
    case 'endpoint':
      return modelText(teacher.model, teacher)
    default:
      return teacher satisfies never
  }
}

function modelText(model: string, { persona, temperature }: BaseTeacher | EndpointTeacher): string {
  const name = typeof persona === 'string' ? persona : (persona.file.split('/').at(-1) ?? persona.file)
  return `${model} as "${name}", temperature ${temperature}`
}

/** A recipe as results.json has it: one level, adapters as `lora.rank`, `lora.alpha` and `lora.targets`. */
export function recipeFacts(recipe: Recipe): Record<string, string | number> {
  if (recipe.method === 'full') return { ...recipe }
  const { lora, ...common } = recipe
  const { rank, alpha, targets } = lora
  return { ...common, 'lora.rank': rank, 'lora.alpha': alpha, 'lora.targets': targets.join(', ') }
}
