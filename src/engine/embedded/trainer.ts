/** The embedded trainer: real training on the CPU in worker threads, the same bytes every time. */
import { interrupted } from '../../errors.ts'
import { parameterCount } from '../../model/config.ts'
import { readConfig } from '../../model/folder.ts'
import type { EngineContext, TrainEvent, Trainer, TrainJob } from '../engine.ts'
import { trainingCost } from './cost.ts'
import { EventQueue } from './event-queue.ts'
import { kernelsVersion } from './kernels/kernels.ts'
import { Crew } from './train-crew.ts'
import { createTrainMemory, Meeting, resetControl, type TrainMemory } from './train-memory.ts'
import { checkJob, recipeHashOf, type TrainTask } from './train-task.ts'

export interface EmbeddedTrainerOptions {
  /**
   * Workers that share each micro-batch, one thread each. Part of the identity: the order of sums depends on it, so it is
   * not taken from the machine. Default 2.
   */
  readonly workers?: number
}

export interface EmbeddedTrainer extends Trainer {
  /** Stops what runs and ends the threads. */
  close(): Promise<void>
}

const DEFAULT_WORKERS = 2
/** Raised when the same job would give other bytes. */
const VERSION = 1
export const ONNX_RUNTIME_VERSION = '1.30.0'

/** A training that has been started and whose threads have not all ended it. */
interface Run {
  readonly crew: Crew
  readonly meeting: Meeting
  readonly queue: EventQueue<TrainEvent>
  readonly finished: Promise<void>
  /** Nobody waits for its events any more. */
  abandoned: boolean
}

/** Threads, compiled graphs and memory are kept between trainings; call `close` at the end. */
export function createEmbeddedTrainer({
  workers = DEFAULT_WORKERS,
}: EmbeddedTrainerOptions = {}): EmbeddedTrainer {
  const kernels = kernelsVersion()
  const idleCrews: Crew[] = []
  const runs = new Set<Run>()
  let spareMemory: TrainMemory | undefined

  const identity: Trainer['identity'] = () => ({
    engine: 'embedded',
    version: VERSION,
    dtype: 'float32',
    workers,
    kernels,
    onnxruntime: ONNX_RUNTIME_VERSION,
  })

  const takeCrew = (size: number): Crew => {
    const index = idleCrews.findIndex((crew) => crew.size === size)
    return index < 0 ? new Crew(size) : (idleCrews.splice(index, 1)[0] as Crew)
  }

  const takeMemory = (parameters: number, shards: number): TrainMemory => {
    const spare = spareMemory
    spareMemory = undefined
    if (spare?.parameters !== parameters || spare.workers !== shards)
      return createTrainMemory(parameters, shards)
    resetControl(spare)
    return spare
  }

  const plan = async (job: TrainJob): Promise<{ tasks: TrainTask[]; shared: TrainMemory }> => {
    const config = job.start.from === 'random' ? job.start.config : await readConfig(job.start.folder)
    const parameters = parameterCount(config)
    const shards = Math.min(workers, job.recipe.batch / job.recipe.accumulate)
    const recipeHash = recipeHashOf(job, config, identity({ parameters }))
    const shared = takeMemory(parameters, shards)
    const tasks = Array.from({ length: shards }, (_, worker) => ({
      job,
      config,
      worker,
      shared,
      recipeHash,
    }))
    return { tasks, shared }
  }

  const start = (tasks: readonly TrainTask[], shared: TrainMemory, queue: EventQueue<TrainEvent>): Run => {
    const { promise: finished, resolve } = Promise.withResolvers<void>()
    const crew = takeCrew(tasks.length)
    const run: Run = { crew, meeting: new Meeting(shared), queue, finished, abandoned: false }
    runs.add(run)
    const settle = async (): Promise<void> => {
      if (!crew.usable) await crew.close()
      else idleCrews.push(crew)
      spareMemory = shared
      runs.delete(run)
      resolve()
    }
    crew.run(tasks, {
      onEvent: (event) => queue.push(event),
      onEnd: (error) => {
        if (error) queue.fail(error)
        else queue.end()
        void settle()
      },
    })
    return run
  }

  const abandon = (run: Run): void => {
    run.abandoned = true
    run.meeting.cancel()
  }

  async function* train(
    job: TrainJob,
    { signal }: EngineContext,
  ): AsyncGenerator<TrainEvent, void, undefined> {
    checkJob(job)
    // An interrupted training ends with its step; until then the working folder is not ours.
    await Promise.all([...runs].filter((run) => run.abandoned).map((run) => run.finished))
    const { tasks, shared } = await plan(job)
    if (signal.aborted) throw interrupted()
    const queue = new EventQueue<TrainEvent>()
    const onAbort = (): void => queue.fail(interrupted())
    signal.addEventListener('abort', onAbort, { once: true })
    const run = start(tasks, shared, queue)
    try {
      yield* queue.items()
    } finally {
      signal.removeEventListener('abort', onAbort)
      // Its threads end with their step; until then the working folder and the memory are theirs.
      if (runs.has(run)) {
        abandon(run)
        await run.finished
      }
    }
  }

  const close = async (): Promise<void> => {
    for (const run of runs) {
      run.queue.fail(interrupted())
      abandon(run)
    }
    await Promise.all([...runs].map((run) => run.finished))
    await Promise.all(idleCrews.splice(0).map((crew) => crew.close()))
  }
  return { identity, estimate: trainingCost, train, close }
}
