/** The thread that samples: holds weights of the open models and the compiled graphs of their architectures, does one task at a time. */
import { parentPort, workerData } from 'node:worker_threads'
import { LabError, messageOf } from '../../errors.ts'
import { readWeights } from '../../model/folder.ts'
import { generateBatch } from './generate.ts'
import { Inference, weightTensors } from './inference.ts'
import type { Tensors } from './kv-cache.ts'
import { architectureKey } from './llama-infer.ts'
import { guarded, type GuardState } from './native-guard.ts'
import type { OpenModel, Task, TaskMessage, TaskReply, TaskResults } from './sampler-protocol.ts'
import type { ScoreSequence } from './score-plan.ts'

/** Architectures whose compiled graphs are kept after their last model is closed. */
const KEPT_ARCHITECTURES = 4

interface LoadedModel extends OpenModel {
  readonly weights: Tensors
}

/** Set by the host that started this thread. */
const guardState = workerData as GuardState
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
  const inference =
    inferences.get(key) ??
    new Inference(model.config, { threads: 1, guard: (call) => guarded(guardState, call) })
  inferences.delete(key)
  inferences.set(key, inference)
  const [oldest] = inferences
  if (oldest && inferences.size > KEPT_ARCHITECTURES) {
    inferences.delete(oldest[0])
    await oldest[1].release()
  }
  return inference
}

async function score(
  inference: Inference,
  weights: Tensors,
  sequences: readonly ScoreSequence[],
): Promise<number[][]> {
  const logprobs = await inference.score(
    weights,
    sequences.map(({ tokens }) => tokens),
    sequences.flatMap(({ picks }, row) => picks.map((pick) => ({ row, ...pick }))),
  )
  let from = 0
  return sequences.map(({ picks }) => Array.from(logprobs.subarray(from, (from += picks.length))))
}

async function open(model: OpenModel): Promise<true> {
  const weights = await readWeights(model.folder, model.config)
  models.set(model.id, { ...model, weights: weightTensors(model.config, weights) })
  return true
}

/** The result of one task; a task that was cancelled gives null. */
async function perform(task: Task, cancelled: () => boolean): Promise<TaskResults[Task['kind']]> {
  if (task.kind === 'open') return open(task.model)
  if (task.kind === 'close') {
    models.delete(task.id)
    return true
  }
  const model = loaded(task.id)
  if (cancelled()) return null
  const inference = await inferenceFor(model)
  const { weights } = model
  if (task.kind === 'score') return score(inference, weights, task.sequences)
  const stopIds = new Set(model.stopIds)
  const { maxPositions } = model.config
  return generateBatch({ inference, weights, stopIds, maxPositions, cancelled }, task.requests)
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
