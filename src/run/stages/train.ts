/** The train stage: one training whose checkpoints are artifacts of their own, resumed from the nearest committed state. */
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { datasetFiles } from '../../data/dataset.ts'
import type { Cost, EngineName, Recipe, TrainJob } from '../../engine/engine.ts'
import type { ModelConfig } from '../../model/config.ts'
import type { Section } from '../../spec/placement-schema.ts'
import {
  artifactPath,
  commitFolder,
  readManifest,
  workPath,
  type ArtifactDescription,
  type Store,
} from '../../store/artifacts.ts'
import { keyOf, type Json } from '../../store/canonical.ts'
import type { MemoryNeed } from '../memory.ts'
import {
  folderOfSource,
  keyOfSource,
  missingArtifacts,
  needsOfSource,
  outputOf,
  type FolderSource,
  type Stage,
  type StageTools,
} from '../stage.ts'

/** A model that a training starts from or an evaluation reads. */
export type ModelRef =
  | { readonly kind: 'folder'; readonly folder: string; readonly hash: string }
  | { readonly kind: 'checkpoint'; readonly training: TrainStage; readonly step: number }

/** Why a training must not run, or null. */
export type Gate = (store: Store) => Promise<string | null>

export interface TrainStage extends Stage {
  readonly kind: 'train'
  readonly recipe: Recipe
  /** The model that its checkpoints lie on as adapters; null where they are whole models. */
  readonly below: ModelRef | null
  /** Asks for a checkpoint; which ones are asked for is not part of the key. */
  want(step: number): ModelRef
  /** One more user of this training: it is blocked only if the gate of every user is closed. Null: a user without a gate. */
  useBehind(gate: Gate | null): void
}

export type Start =
  | { readonly from: 'random'; readonly config: ModelConfig; readonly seed: number }
  /** The seed is that of the first values of adapters. */
  | { readonly from: 'model'; readonly model: ModelRef; readonly seed: number }

export interface Training {
  readonly title: string
  readonly start: Start
  readonly dataset: Stage
  /** Leaves the tokenizer files that every checkpoint carries; a folder model brings its own. */
  readonly tokenizer: FolderSource
  readonly recipe: Recipe
  /** What the trainer says is part of the key (engine, dtype, workers, kernels). */
  readonly identity: Readonly<Record<string, string | number>>
  readonly engine: EngineName
  readonly section: Section
  readonly cost: Cost
  readonly memory: MemoryNeed
  readonly needs?: readonly Stage[]
}

export function modelKey(model: ModelRef): Json {
  return model.kind === 'folder' ? { folder: model.hash } : checkpointInputs(model.training.key, model.step)
}

/** The trainings whose checkpoints a model's weights are read from: its own, and those that its adapters lie on. */
export function trainingsBelow(model: ModelRef): TrainStage[] {
  if (model.kind === 'folder') return []
  const { below } = model.training
  return [model.training, ...(below === null ? [] : trainingsBelow(below))]
}

export function modelFolder(store: Store, model: ModelRef): string {
  return model.kind === 'folder'
    ? model.folder
    : artifactPath(store, 'checkpoint', checkpointKey(model.training.key, model.step))
}

const checkpointInputs = (training: string, step: number): { training: string; step: number } => ({
  training,
  step,
})
export const checkpointKey = (training: string, step: number): string =>
  keyOf({ kind: 'checkpoint', ...checkpointInputs(training, step) })

/** A training of which no checkpoint is asked for yet. Asking for more later never retrains what exists. */
export function trainStage(training: Training): TrainStage {
  const { start, dataset, tokenizer, recipe } = training
  const inputs = {
    start:
      start.from === 'random'
        ? { config: { ...start.config }, seed: start.seed }
        : recipe.method === 'lora'
          ? { model: modelKey(start.model), seed: start.seed }
          : modelKey(start.model),
    dataset: dataset.key,
    tokenizer: keyOfSource(tokenizer),
    recipe: { ...recipe },
    engine: { ...training.identity },
  }
  const key = keyOf({ kind: 'train', ...inputs })
  const artifactAt = (step: number): ArtifactDescription => ({
    kind: 'checkpoint',
    key: checkpointKey(key, step),
    title: `${training.title} step ${step}`,
    inputs: { training: key, step, of: inputs },
  })
  const wanted = new Set<number>()
  const gates: (Gate | null)[] = []
  const stage: TrainStage = {
    kind: 'train',
    key,
    title: training.title,
    engine: training.engine,
    section: training.section,
    recipe,
    below: start.from === 'model' && recipe.method === 'lora' ? start.model : null,
    needs: [
      ...(start.from === 'model' && start.model.kind === 'checkpoint' ? [start.model.training] : []),
      dataset,
      ...needsOfSource(tokenizer),
      ...(training.needs ?? []),
    ],
    get artifacts() {
      return [...wanted].sort((a, b) => a - b).map(artifactAt)
    },
    want: (step) => {
      wanted.add(step)
      return { kind: 'checkpoint', training: stage, step }
    },
    seconds: training.cost.seconds,
    memory: training.memory,
    cost: { training: training.cost },
    useBehind: (gate) => {
      gates.push(gate)
    },
    blocked: async (store) => {
      const reasons = await Promise.all(gates.map(async (gate) => (gate ? gate(store) : null)))
      return reasons.includes(null) ? null : (reasons[0] ?? null)
    },
    perform: (tools) => perform(tools, stage, training, artifactAt),
  }
  return stage
}

async function perform(
  tools: StageTools,
  stage: TrainStage,
  training: Training,
  artifactAt: (step: number) => ArtifactDescription,
): Promise<void> {
  const { store, engine, signal } = tools
  const workDir = workPath(store, 'train', stage.key)
  await mkdir(workDir, { recursive: true })

  // A checkpoint that a crash left in workDir uncommitted is told again by the trainer, not trained again.
  const missing = (await missingArtifacts(store, stage)).map(stepOf)
  const { states } = engine.trainer
  const resumeFrom = await nearestCommitted(store, stage.key, missing[0] ?? 0, states?.folder)
  const job: TrainJob = {
    start: startOf(store, training.start),
    packs: join(outputOf(store, training.dataset), datasetFiles.packs),
    recipe: training.recipe,
    checkpoints: missing,
    workDir,
    tokenizerDir: folderOfSource(store, training.tokenizer),
    ...(resumeFrom === null ? {} : { resumeFrom }),
  }
  const total = missing.at(-1) ?? 0
  let since = performance.now()
  for await (const event of engine.trainer.train(job, { signal })) {
    if (event.type === 'step') {
      const { step, loss } = event.metrics
      tools.progress({ done: step, total, unit: 'steps', loss, tokensPerSecond: event.tokensPerSecond })
    }
    if (event.type === 'checkpoint') {
      const seconds = (performance.now() - since) / 1000
      await commitFolder(store, artifactAt(event.step), event.folder, seconds, { beside: states?.folder })
      if (states?.keep === 'newest') await dropStates(store, stage, states.folder, event.step)
      since = performance.now()
    }
  }
  await rm(workDir, { recursive: true, force: true })
}

/** Adapters name a model of the same store as seen from their own artifact: a store can be moved. */
function startOf(store: Store, start: Start): TrainJob['start'] {
  if (start.from === 'random') return start
  const { model, seed } = start
  const folder = modelFolder(store, model)
  if (model.kind === 'folder') return { from: 'folder', folder, seed }
  const anyCheckpoint = artifactPath(store, 'checkpoint', 'key')
  return { from: 'folder', folder, seed, name: relative(anyCheckpoint, folder).replaceAll('\\', '/') }
}

/**
 * Removes what resuming needs of all checkpoints but the newest, and of the last step, from which nothing goes on. Another step
 * that is asked for later is trained from the beginning, or from an earlier state that is left.
 */
async function dropStates(store: Store, stage: TrainStage, folder: string, newest: number): Promise<void> {
  for (let step = 1; step <= newest; step++) {
    if (step === newest && newest < stage.recipe.steps) continue
    const path = artifactPath(store, 'checkpoint', checkpointKey(stage.key, step))
    await rm(join(path, folder), { recursive: true, force: true })
  }
}

const stepOf = (artifact: ArtifactDescription): number => (artifact.inputs as { step: number }).step

/** Folder of the latest committed checkpoint of this training before a step that can be resumed from, listed in this run or not. */
async function nearestCommitted(
  store: Store,
  training: string,
  before: number,
  state: string | undefined,
): Promise<string | null> {
  for (let step = before - 1; step > 0; step--) {
    const key = checkpointKey(training, step)
    const folder = artifactPath(store, 'checkpoint', key)
    const whole = state === undefined || existsSync(join(folder, state))
    if (whole && (await readManifest(store, 'checkpoint', key)) !== null) return folder
  }
  return null
}
