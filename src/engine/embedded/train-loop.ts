/** A training from its beginning or from a state to its end: step after step, and what has to be saved. */
import { LabError } from '../../errors.ts'
import type { StepMetrics, TrainEvent } from '../engine.ts'
import { openPacks, type PacksReader } from '../packs.ts'
import { fairShare } from './cores.ts'
import { loadKernels } from './kernels.ts'
import { openOptimizer, type Optimizer } from './optimizer.ts'
import { planPass } from './pass-plan.ts'
import {
  checkpointFolder,
  cleanWorkDir,
  findStates,
  loadState,
  saveCheckpoint,
  saveRolling,
  stepOf,
} from './train-state.ts'
import { trainStep } from './train-step.ts'
import type { TrainTask } from './train-task.ts'
import { openTrainable, type Trainable } from './trainable.ts'
import { openPass } from './transformer.ts'

const DEFAULT_SAVE_EVERY = 100

/** What a training holds while it runs. */
interface Training {
  readonly task: TrainTask
  readonly trainable: Trainable
  readonly optimizer: Optimizer
  readonly emit: (event: TrainEvent) => void
}

/** Runs a task to its end, or to the end of the step in which it is asked to stop. */
export async function runTask(task: TrainTask, emit: (event: TrainEvent) => void): Promise<void> {
  const { job } = task
  const packs = openPacks(job.packs)
  try {
    checkPacks(packs, task)
    const k = loadKernels()
    const trainable = await openTrainable(k, task)
    const optimizer = openOptimizer(k, job.recipe, trainable.specs)
    const training: Training = { task, trainable, optimizer, emit }
    const { metrics, last } = await begin(training)
    if (metrics.length >= last) return
    const { contextLength } = packs
    const { network } = trainable
    const { batch } = job.recipe
    const plan = planPass(network.config, { batch, contextLength, rank: network.rank, keeps: network.keeps })
    const { packs: packsAtOnce, recompute } = plan
    const pass = openPass(k, network, { rows: packsAtOnce * contextLength, contextLength, recompute })
    const cancel = new Int32Array(task.cancel)
    for (let step = metrics.length + 1; step <= last && Atomics.load(cancel, 0) === 0; step++) {
      const started = performance.now()
      // How many threads a step has changes none of its bits.
      k.setThreads(fairShare(task.cores))
      const done = trainStep({ recipe: job.recipe, packs, packsAtOnce, pass, trainable, optimizer }, step)
      metrics.push(done)
      const seconds = (performance.now() - started) / 1000
      emit({ type: 'step', metrics: done, tokensPerSecond: done.tokens / seconds })
      await save(training, metrics)
    }
  } finally {
    packs.close()
  }
}

/** Brings weights and moments into place. Returns the metrics so far, one a step, and the last step to take. */
async function begin(training: Training): Promise<{ metrics: StepMetrics[]; last: number }> {
  const { task, trainable, optimizer, emit } = training
  const { job } = task
  await cleanWorkDir(job.workDir)
  const present: number[] = []
  for (const step of job.checkpoints) {
    if ((await load(training, checkpointFolder(job.workDir, step))) !== undefined) present.push(step)
  }
  const missing = job.checkpoints.filter((step) => !present.includes(step))
  const last = job.checkpoints.length === 0 ? job.recipe.steps : (missing.at(-1) ?? 0)

  const restored = last === 0 ? undefined : await restore(training, (missing[0] ?? last) - 1)
  if (restored === undefined && last > 0) {
    for (const moments of Object.values(optimizer.state)) moments.fill(0)
    await trainable.begin()
  }
  const metrics = restored ?? []
  emit({
    type: 'start',
    step: metrics.length,
    parameters: trainable.weights.length,
    threads: task.cores.threads,
  })
  for (const at of present) emit({ type: 'checkpoint', step: at, folder: checkpointFolder(job.workDir, at) })
  return { metrics, last }
}

/** The newest usable state up to step `newest`, read into place; its metrics. */
async function restore(training: Training, newest: number): Promise<StepMetrics[] | undefined> {
  const { job } = training.task
  const { resumeFrom } = job
  const given = resumeFrom === undefined ? [] : [{ step: await stepOf(resumeFrom), folder: resumeFrom }]
  const candidates = [...(await findStates(job.workDir)), ...given]
    .filter(({ step }) => step <= newest)
    .toSorted((a, b) => b.step - a.step)
  for (const { folder } of candidates) {
    if (folder === resumeFrom) return await loadState(folder, stateOf(training))
    const restored = await load(training, folder)
    if (restored !== undefined) return restored
  }
  return undefined
}

/** A state of our own working folder; undefined if it is missing, damaged or of another training: then it is made again. */
async function load(training: Training, folder: string): Promise<StepMetrics[] | undefined> {
  try {
    return await loadState(folder, stateOf(training))
  } catch (error) {
    if (error instanceof LabError) return undefined
    throw error
  }
}

/** After a step: its checkpoint if it is asked for, or the rolling state when that is due. */
async function save(training: Training, metrics: readonly StepMetrics[]): Promise<void> {
  const { job } = training.task
  const saveEvery = job.saveEvery ?? DEFAULT_SAVE_EVERY
  const step = metrics.length
  if (job.checkpoints.includes(step)) {
    const folder = await saveCheckpoint(job.workDir, stateOf(training), metrics)
    training.emit({ type: 'checkpoint', step, folder })
  } else if (saveEvery > 0 && step % saveEvery === 0) {
    await saveRolling(job.workDir, stateOf(training), metrics)
  }
}

const stateOf = ({ task, trainable, optimizer }: Training) => ({
  trainable,
  optimizer: optimizer.state,
  recipeHash: task.recipeHash,
})

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
