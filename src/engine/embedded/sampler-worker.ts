/** The thread that samples: holds the open models and does one task after another; the kernels that it calls use several threads. */
import { parentPort, workerData } from 'node:worker_threads'
import { LabError, messageOf } from '../../errors.ts'
import { generate } from './generate.ts'
import { loadKernels } from './kernels.ts'
import { loadModel, type SampledModel } from './sampled-model.ts'
import { fairShare, type Cores } from './cores.ts'
import type { Task, TaskMessage, TaskReply, TaskResults } from './sampler-protocol.ts'
import { score } from './score.ts'
import { stream } from './stream.ts'

const kernels = loadKernels()
const cores = workerData as Cores
const models = new Map<number, SampledModel>()

/** The result of one task; a task that was cancelled gives null. */
async function perform(task: Task, cancelled: () => boolean): Promise<TaskResults[Task['kind']]> {
  if (task.kind === 'open') {
    models.set(task.model, await loadModel(kernels, task.parts))
    return true
  }
  if (task.kind === 'close') {
    models.delete(task.model)
    return true
  }
  const model = models.get(task.model)
  if (!model) throw new LabError('INTERNAL', `model ${task.model} is not open in this worker`)
  if (task.kind === 'score') return score(model, task.sequences, cancelled)
  if (task.kind === 'stream') return stream(model, task.stream, shareCores)
  return generate(model, task.requests, cancelled)
}

function failure(id: number, error: unknown): TaskReply {
  if (!(error instanceof LabError)) {
    return { id, type: 'failed', code: 'ENGINE', message: `sampling failed: ${messageOf(error)}` }
  }
  const { code, message, hint } = error
  return { id, type: 'failed', code, message, ...(hint === undefined ? {} : { hint }) }
}

/** Called before every step: the share of the cores follows what else computes. */
const shareCores = (): void => kernels.setThreads(fairShare(cores))

async function answer({ id, task, cancel }: TaskMessage): Promise<void> {
  const cancelled = (): boolean => {
    shareCores()
    return Atomics.load(cancel, 0) !== 0
  }
  const reply = await perform(task, cancelled).then(
    (result): TaskReply => ({ id, type: 'done', result }),
    (error: unknown) => failure(id, error),
  )
  parentPort?.postMessage(reply, [])
}

parentPort?.on('message', (message: TaskMessage) => void answer(message))
