/** The embedded trainer: real training on the CPU, the same bytes every time, each training in a thread of its own. */
import type { Worker } from 'node:worker_threads'
import { interrupted, LabError } from '../../errors.ts'
import { partsOf } from '../../model/weights-of.ts'
import { checkJob } from '../check-job.ts'
import type { EngineContext, TrainEvent, Trainer, TrainJob } from '../engine.ts'
import { createCores, occupy, vacate, type Cores } from './cores.ts'
import { trainingCost } from './cost.ts'
import { EventQueue } from './event-queue.ts'
import { frozenBases, readerEnded } from './frozen-base.ts'
import { KERNELS_VERSION } from './kernels.ts'
import { startThread } from '../../thread.ts'
import { recipeHashOf, type TrainTask, type WorkerMessage } from './train-task.ts'

export interface EmbeddedTrainer extends Trainer {
  /** Stops what runs and ends the threads. */
  close(): Promise<void>
}

/** Raised when the same job would give other bytes. */
const VERSION = 2

/** A training whose thread has not ended. */
interface Run {
  readonly cancel: Int32Array
  readonly queue: EventQueue<TrainEvent>
  readonly finished: Promise<void>
}

/** Each training has a thread of its own; what computes at the same time shares the cores. */
export function createEmbeddedTrainer(cores: Cores = createCores()): EmbeddedTrainer {
  const runs = new Set<Run>()
  const bases = frozenBases()

  const identity = { engine: 'embedded', version: VERSION, dtype: 'float32', kernels: KERNELS_VERSION }

  const start = (task: TrainTask, queue: EventQueue<TrainEvent>): Run => {
    // If no thread can be started there is no run.
    const thread: Worker = startThread(import.meta.url, 'train-worker', task)
    const { threadId } = thread
    const { promise: finished, resolve } = Promise.withResolvers<undefined>()
    const run: Run = { cancel: new Int32Array(task.cancel), queue, finished }
    runs.add(run)
    occupy(cores)
    let told = false
    const fail = (error: LabError): void => {
      if (!told) queue.fail(error)
      told = true
    }
    thread.on('message', (message: WorkerMessage) => {
      if (message.type === 'event') queue.push(message.event)
      else if (message.type === 'failed') fail(failureOf(message))
      else {
        told = true
        queue.end()
      }
    })
    thread.on('error', (error) => fail(new LabError('ENGINE', 'a training thread failed', { cause: error })))
    thread.on('exit', (code) => {
      fail(new LabError('ENGINE', `a training thread ended with code ${code}`))
      if (task.frozen !== null) readerEnded(task.frozen, threadId)
      vacate(cores)
      runs.delete(run)
      resolve(undefined)
    })
    return run
  }

  async function* train(
    job: TrainJob,
    { signal }: EngineContext,
  ): AsyncGenerator<TrainEvent, void, undefined> {
    checkJob(job)
    const begin = job.start.from === 'random' ? job.start : await partsOf(job.start.folder)
    const { config } = begin
    const frozen = job.recipe.method === 'lora' && 'base' in begin ? await bases.take(begin) : null
    const queue = new EventQueue<TrainEvent>()
    const onAbort = (): void => queue.fail(interrupted())
    let run: Run | null = null
    try {
      if (signal.aborted) throw interrupted()
      const recipeHash = recipeHashOf(job, config, identity)
      run = start({ job, config, frozen, recipeHash, cancel: new SharedArrayBuffer(4), cores }, queue)
      signal.addEventListener('abort', onAbort, { once: true })
      yield* queue.items()
    } finally {
      signal.removeEventListener('abort', onAbort)
      // Its thread ends with its step; until then the working folder is its own.
      if (run !== null && runs.has(run)) {
        Atomics.store(run.cancel, 0, 1)
        await run.finished
      }
      if (frozen !== null) bases.release(frozen)
    }
  }

  const close = async (): Promise<void> => {
    for (const run of runs) {
      run.queue.fail(interrupted())
      Atomics.store(run.cancel, 0, 1)
    }
    await Promise.all([...runs].map((run) => run.finished))
  }
  return { identity, estimate: trainingCost, train, close }
}

function failureOf({ code, message, hint, stack }: WorkerMessage & { type: 'failed' }): LabError {
  const error = new LabError(code, message, { hint })
  if (stack !== undefined) error.stack = stack
  return error
}
