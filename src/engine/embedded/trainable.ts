/** What a training changes: the flat vector of its parameters, their gradient, and how they are read and written. */
import { parameterCount, parameterSpecs, type ParameterSpec } from '../../model/config.ts'
import { readWeights, writeModelFolder } from '../../model/folder.ts'
import { partsOf } from '../../model/weights-of.ts'
import { frozenWeights } from './frozen-base.ts'
import { initialWeights } from '../init-weights.ts'
import type { Kernels } from './kernels.ts'
import { openLoraTrainable } from './lora-trainable.ts'
import { readMergedWeights } from './merged-weights.ts'
import { buildNetwork, type Network } from './network.ts'
import type { TrainTask } from './train-task.ts'

export interface Trainable {
  readonly network: Network
  /** Flat, in the order of `specs`; the network reads them here. */
  readonly weights: Float32Array
  readonly gradient: Float32Array
  readonly specs: readonly ParameterSpec[]
  /** Puts the weights of step 0 in place. */
  begin(): Promise<void>
  /** Writes the weights into `folder`: a model that `transformers` opens, or an adapter for `peft`. */
  write(folder: string): Promise<void>
  /** Reads what `write` wrote. Throws BAD_MODEL. */
  read(folder: string): Promise<void>
}

/** What the task's recipe trains. Throws BAD_MODEL if what it begins with cannot be read. */
export async function openTrainable(k: Kernels, task: TrainTask): Promise<Trainable> {
  const { job, config, frozen } = task
  if (job.recipe.method === 'full' || frozen === null) return openFullTrainable(k, task)
  const cancel = new Int32Array(task.cancel)
  const weights = await frozenWeights(k, frozen, () => Atomics.load(cancel, 0) !== 0)
  return openLoraTrainable(k, { config, job, lora: job.recipe.lora, frozen: weights })
}

/** Everything is trained. */
function openFullTrainable(k: Kernels, { job: { start, tokenizerDir }, config }: TrainTask): Trainable {
  const count = parameterCount(config)
  const weights = k.allocate(count)
  const gradient = k.allocate(count)
  return {
    network: buildNetwork(config, { weights, gradients: gradient }),
    weights,
    gradient,
    specs: parameterSpecs(config),
    begin: async () => {
      if (start.from === 'random') initialWeights(config, start.seed, weights)
      else await readMergedWeights(k, await partsOf(start.folder), weights)
    },
    write: (folder) => writeModelFolder(folder, { config, weights, tokenizerDir }),
    read: async (folder) => {
      await readWeights(folder, config, weights)
    },
  }
}
