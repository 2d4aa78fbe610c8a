/** The thread that samples: holds weights of the open models and the compiled graphs of their architectures, does one task at a time. */
import { parentPort } from 'node:worker_threads'
import { LabError, messageOf } from '../../errors.ts'
import { readWeights } from '../../model/folder.ts'
import { generateBatch } from './generate.ts'
import { Inference, weightTensors } from './inference.ts'
import type { Tensors } from './kv-cache.ts'
import { architectureKey } from './llama-infer.ts'
import type { OpenModel, Task, TaskMessage, TaskReply, TaskResults } from './sampler-protocol.ts'
import type { ScoreSequence } from './score-plan.ts'

/** Architectures whose compiled graphs are kept after their last model is closed. */
const KEPT_ARCHITECTURES = 4

interface LoadedModel extends OpenModel {
  readonly weights: Tensors
}

const models = new Map<number, LoadedModel>()
/** By architecture, the least recently used first. */
const inferences = new Map<string, Inference>()

function loaded(id: number): LoadedModel {
  const model = models.get(id)
  if (!model) throw new LabError('INTERNAL', `model ${id} is not open in this worker`)
  return model
}

async function inferenceFor(model: LoadedModel): Promise<Inference> {
  const key = architectureKey(model.config)
  const inference = inferences.get(key) ?? new Inference(model.config, { threads: 1 })
  inferences.delete(key)
  inferences.set(key, inference)
  const [oldest] = inferences
  if (oldest && inferences.size > KEPT_ARCHITECTURES) {
    inferences.delete(oldest[0])
    await oldest[1].release()
  }
  return inference
}

async function score(model: LoadedModel, sequences: readonly ScoreSequence[]): Promise<number[][]> {
  const inference = await inferenceFor(model)
  const logprobs = await inference.score(
    model.weights,
    sequences.map(({ tokens }) => tokens),
    sequences.flatMap(({ picks }, row) => picks.map((pick) => ({ row, ...pick }))),
  )
  let from = 0
  return sequences.map(({ picks }) => Array.from(logprobs.subarray(from, (from += picks.length))))
}

/** The result of one task; a task that was cancelled gives null. */
async function perform(task: Task, cancelled: () => boolean): Promise<TaskResults[Task['kind']]> {
  switch (task.kind) {
    case 'open': {
      const { model } = task
      const weights = await readWeights(model.folder, model.config)
      models.set(model.id, { ...model, weights: weightTensors(model.config, weights) })
      return true
    }
    case 'close':
      models.delete(task.id)
      return true
    case 'generate': {
      const model = loaded(task.id)
      const inference = await inferenceFor(model)
      const { maxPositions } = model.config
      const stopIds = new Set(model.stopIds)
      return await generateBatch(
        { inference, weights: model.weights, stopIds, maxPositions, cancelled },
        task.requests,
      )
    }
    case 'score':
      return cancelled() ? null : await score(loaded(task.id), task.sequences)
  }
}

function failure(error: unknown): TaskReply {
  if (!(error instanceof LabError)) {
    return { type: 'failed', code: 'ENGINE', message: `sampling failed: ${messageOf(error)}` }
  }
  const { code, message, hint } = error
  return { type: 'failed', code, message, ...(hint === undefined ? {} : { hint }) }
}

async function answer({ task, cancel }: TaskMessage): Promise<void> {
  const reply = await perform(task, () => Atomics.load(cancel, 0) !== 0).then(
    (result): TaskReply => ({ type: 'done', result }),
    failure,
  )
  parentPort?.postMessage(reply, [])
}

parentPort?.on('message', (message: TaskMessage) => void answer(message))
