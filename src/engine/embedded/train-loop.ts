/** A training as one worker runs it: begins or resumes, takes step after step, and saves what has to be saved. */
import { LabError } from '../../errors.ts'
import { readWeights } from '../../model/folder.ts'
import type { StepMetrics, TrainEvent } from '../engine.ts'
import { openPacks, type PacksReader } from '../packs.ts'
import { initialWeights } from './init-weights.ts'
import { loadKernels } from './kernels/kernels.ts'
import { decayRuns, sliceOf } from './optimizer.ts'
import { layoutOf, Meeting, vectorAt } from './train-memory.ts'
import type { TrainSession } from './train-session.ts'
import { trainStep, type StepContext } from './train-step.ts'
import {
  checkpointFolder,
  cleanWorkDir,
  findStates,
  loadState,
  saveCheckpoint,
  saveRolling,
  stepOf,
  type TrainState,
  type TrainVectors,
} from './train-state.ts'
import { packRange, type TrainTask } from './train-task.ts'

const DEFAULT_SAVE_EVERY = 100

/** What a worker needs beside its task. */
export interface LoopContext {
  /** A session for B packs of T tokens; the worker keeps it for the next training. */
  readonly session: (T: number, B: number) => Promise<TrainSession>
  readonly emit: (event: TrainEvent) => void
}

/** Runs a task to its end, or to the end of the step in which it is asked to stop. */
export async function runTask(task: TrainTask, context: LoopContext): Promise<void> {
  const { job, config, worker, shared } = task
  const { workers } = shared
  const packs = openPacks(job.packs)
  try {
    checkPacks(packs, task)
    const { from, to } = packRange(job.recipe, { micro: 0, worker, workers })
    const opening = context.session(packs.contextLength, to - from)
    const metrics = worker === 0 ? await begin(task, context) : []
    const session = await opening
    const kernels = await loadKernels(shared.memory)
    const meeting = new Meeting(shared)
    meeting.wait()
    const step: StepContext = {
      task,
      packs,
      session,
      kernels,
      meeting,
      layout: layoutOf(shared),
      runs: decayRuns(config, sliceOf(shared.parameters, worker, workers)),
    }
    const { first, last } = meeting.range
    for (let number = first; number <= last; number++) {
      const started = performance.now()
      const done = await trainStep(step, number)
      if (worker === 0) meeting.decide()
      // After this every slice is updated, and none changes before worker 0 has come to the next step's meetings: it saves
      // while the others go on.
      meeting.wait()
      const { stopped } = meeting
      if (worker === 0) {
        metrics.push(done)
        const seconds = (performance.now() - started) / 1000
        context.emit({ type: 'step', metrics: done, tokensPerSecond: done.tokens / seconds })
        await save(task, metrics, number, context)
      }
      if (stopped) return
    }
  } finally {
    packs.close()
  }
}

/** Worker 0: brings weights and moments into place and tells the others which steps are left. Returns the metrics so far. */
async function begin(task: TrainTask, { emit }: LoopContext): Promise<StepMetrics[]> {
  const { job, config, shared } = task
  await cleanWorkDir(job.workDir)
  const present: number[] = []
  for (const step of job.checkpoints) {
    if ((await load(task, checkpointFolder(job.workDir, step))) !== undefined) present.push(step)
  }
  const missing = job.checkpoints.filter((step) => !present.includes(step))
  const last = job.checkpoints.length === 0 ? job.recipe.steps : (missing.at(-1) ?? 0)

  const restored = last === 0 ? undefined : await restore(task, (missing[0] ?? last) - 1)
  const vectors = vectorsOf(task)
  if (restored === undefined && last > 0) {
    vectors.m.fill(0)
    vectors.v.fill(0)
    const { start } = job
    vectors.weights.set(
      start.from === 'random' ? initialWeights(config, start.seed) : await readWeights(start.folder, config),
    )
  }
  const step = restored?.step ?? 0
  new Meeting(shared).setRange({ first: step + 1, last })
  emit({ type: 'start', step, parameters: shared.parameters, workers: shared.workers })
  for (const at of present) emit({ type: 'checkpoint', step: at, folder: checkpointFolder(job.workDir, at) })
  return restored?.metrics ?? []
}

interface Restored {
  readonly step: number
  readonly metrics: StepMetrics[]
}

/** The newest usable state up to step `newest`, read into the shared vectors. */
async function restore(task: TrainTask, newest: number): Promise<Restored | undefined> {
  const { job, config, recipeHash } = task
  const { resumeFrom } = job
  const given = resumeFrom === undefined ? [] : [{ step: await stepOf(resumeFrom), folder: resumeFrom }]
  const candidates = [...(await findStates(job.workDir)), ...given]
    .filter(({ step }) => step <= newest)
    .toSorted((a, b) => b.step - a.step)
  for (const { folder } of candidates) {
    if (folder === resumeFrom) return await loadState(folder, config, recipeHash, vectorsOf(task))
    const restored = await load(task, folder)
    if (restored !== undefined) return restored
  }
  return undefined
}

/** A state of our own working folder; undefined if it is missing, damaged or of another training: then it is made again. */
async function load(
  { config, recipeHash, ...task }: TrainTask,
  folder: string,
): Promise<Restored | undefined> {
  try {
    return await loadState(folder, config, recipeHash, vectorsOf(task))
  } catch (error) {
    if (error instanceof LabError) return undefined
    throw error
  }
}

/** Worker 0, after a step: its checkpoint if it is asked for, or the rolling state when that is due. */
async function save(
  task: TrainTask,
  metrics: readonly StepMetrics[],
  step: number,
  { emit }: LoopContext,
): Promise<void> {
  const { job, config, recipeHash } = task
  const saveEvery = job.saveEvery ?? DEFAULT_SAVE_EVERY
  const state: TrainState = { config, vectors: vectorsOf(task), step, recipeHash, metrics }
  if (job.checkpoints.includes(step)) {
    const folder = await saveCheckpoint(job.workDir, state, job.tokenizerDir)
    emit({ type: 'checkpoint', step, folder })
  } else if (saveEvery > 0 && step % saveEvery === 0) {
    await saveRolling(job.workDir, state, job.tokenizerDir)
  }
}

function vectorsOf({ shared }: Pick<TrainTask, 'shared'>): TrainVectors {
  const layout = layoutOf(shared)
  return {
    weights: vectorAt(shared, layout.weightsAt),
    m: vectorAt(shared, layout.mAt),
    v: vectorAt(shared, layout.vAt),
  }
}

function checkPacks(packs: PacksReader, { job, config }: TrainTask): void {
  const needed = (job.checkpoints.at(-1) ?? job.recipe.steps) * job.recipe.batch
  if (packs.count < needed) {
    throw new LabError('ENGINE', `${job.packs} has ${packs.count} packs; the training reads ${needed}`)
  }
  if (packs.contextLength > config.maxPositions) {
    throw new LabError(
      'BAD_INPUT',
      `packs of ${packs.contextLength} tokens are longer than the model's ${config.maxPositions} positions`,
    )
  }
}
