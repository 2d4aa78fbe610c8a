/** What a training or sampling with torch will take: memory of each process, disk, and a rough forecast of time; never a result. */
import { parameterCount, type ParameterSpec, parameterSpecs, type ModelConfig } from '../../model/config.ts'
import { loraCount, loraSpecs } from '../../model/peft.ts'
import { soapNotes } from '../embedded/soap-cost.ts'
import type { Cost, DeviceNeed, Recipe, SamplingCost, SamplingNeed } from '../engine.ts'
import { TOGETHER } from './asked.ts'
import { gpuOf } from './gpus.ts'
import type { TorchSettings } from './settings.ts'
import { type SoapNeeds, soapNeeds } from './soap-owners.ts'

/** Of a server's processor, assumed. */
export const CPU_FLOPS = 100e9

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
  /** Sharded moments. */
  readonly optimizer: number
  /** Moments, averages and bases of the matrices that SOAP rotates, where they are most: each is whole on its owner. */
  readonly owned: number
  /** What FSDP2 gathers for a while: weights and gradients of whole blocks. */
  readonly gathered: number
  readonly activations: number
  /** What SOAP works in, when gathered weights and activations are gone. */
  readonly updating: number
}

interface Sizes {
  readonly parameters: number
  readonly trained: number
  readonly frozen: number
  /** Null without SOAP. */
  readonly soap: SoapNeeds | null
  /** Of one block, and of what no block has: the embedding and the head. */
  readonly block: number
  readonly ends: number
}

const specsOf = ({ config, recipe }: TrainingJob): ParameterSpec[] =>
  recipe.method === 'lora' ? loraSpecs(config, recipe.lora) : parameterSpecs(config)

function sizesOf(settings: Pick<TorchSettings, 'processes'>, job: TrainingJob): Sizes {
  const { config, recipe } = job
  const parameters = parameterCount(config)
  const lora = recipe.method === 'lora' ? recipe.lora : null
  const trained = lora === null ? parameters : loraCount(config, lora)
  const ends = (config.tied ? 1 : 2) * config.vocabSize * config.hiddenSize
  return {
    parameters,
    trained,
    frozen: lora === null ? 0 : parameters,
    soap: recipe.optimizer === 'soap' ? soapNeeds(specsOf(job), recipe, settings) : null,
    block: (parameters - ends) / config.layers,
    ends,
  }
}

/** Packs that a process goes through in a step, one after the other but for `microBatch` of them. */
const roundsOf = ({ processes }: Pick<TorchSettings, 'processes'>, { batch }: Recipe): number =>
  Math.ceil(batch / processes)

/**
 * What is trained has master weights, gradients and moments in float32, sharded over the processes (FSDP2), as are the frozen
 * weights below adapters, in `dtype`. Gathered are, in `dtype`, the ends and two blocks, with gradients of the ends and of one block
 * where they are trained, and what is summed of these in float32. Without shards autocast keeps a copy of the weights in `dtype`.
 * Activations are those of `microBatch` packs: every block's, or with checkpointing what lies between blocks and one block's; and
 * of the logits, as if every token were scored, two copies in `dtype` and three in float32. What SOAP rotates is not sharded.
 */
export function trainingMemory(settings: TorchSettings, job: TrainingJob): TrainingMemory {
  const { processes, microBatch, gradientCheckpointing, cpuOffload, dtype } = settings
  const { config, recipe, contextLength } = job
  const { trained, frozen, soap, block, ends } = sizesOf(settings, job)
  const full = recipe.method === 'full'
  const { hiddenSize, ffnSize, heads, kvHeads, headDim, vocabSize, layers } = config
  const sharded = processes > 1 || cpuOffload
  const gatheredGradients = full ? bytesOf(dtype) * (ends + block) + FLOAT32 * Math.max(ends, 2 * block) : 0
  const autocast = dtype === 'bfloat16' && full ? bytesOf(dtype) * trained : 0
  // A block keeps its two norms' inputs and outputs, queries, keys, values, attention, and three products of its feed-forward.
  const ofBlock = 4 * hiddenSize + (2 * heads + 2 * kvHeads) * headDim + 4 * ffnSize
  const kept = gradientCheckpointing ? layers * hiddenSize + ofBlock : layers * ofBlock
  const tokens = Math.min(microBatch, roundsOf(settings, recipe)) * contextLength
  return {
    weights: (FLOAT32 * trained + bytesOf(dtype) * frozen) / processes,
    gradients: (FLOAT32 * trained) / processes,
    optimizer: (FLOAT32 * 2 * (trained - (soap?.rotated ?? 0))) / processes,
    owned: FLOAT32 * (soap?.owned ?? 0),
    gathered: sharded ? bytesOf(dtype) * (ends + 2 * block) + gatheredGradients : autocast,
    activations: tokens * (bytesOf(dtype) * (kept + 2 * vocabSize) + 3 * FLOAT32 * vocabSize),
    updating: FLOAT32 * (soap?.working ?? 0),
  }
}

/**
 * As `Trainer.estimate` tells it. Flops a parameter and token as the embedded engine counts them (its cost.ts). SOAP computes in
 * float32 whatever `dtype` is.
 */
export function trainingCost(settings: TorchSettings, job: TrainingJob): Cost {
  const { processes, device, dtype, gradientCheckpointing: again, cpuOffload, keepStates } = settings
  const { recipe, contextLength } = job
  const { parameters, trained, frozen, soap } = sizesOf(settings, job)
  const tokens = recipe.batch * contextLength * recipe.steps
  const perToken = (again ? 8 : 6) * trained + (again ? 6 : 4) * frozen
  const { weights, gradients, optimizer, owned, ...passing } = trainingMemory(settings, job)
  const { gathered, activations, updating } = passing
  const shards = weights + gradients + optimizer
  const working = owned + Math.max(gathered + activations, updating)
  const onGpu = device === 'cuda'
  const inMain = onGpu ? (cpuOffload ? shards : 0) : shards + working
  // All wait for the process with the most packs.
  const busiest = roundsOf(settings, recipe) * contextLength * recipe.steps
  const parts = [
    `${gigabytes(weights)} of weights`,
    `${gigabytes(gradients)} of gradients`,
    `${gigabytes(optimizer)} of optimizer state`,
    ...(soap === null ? [] : [`${gigabytes(owned)} of SOAP's matrices, where they are most`]),
    ...(updating > gathered + activations
      ? [`${gigabytes(updating)} that SOAP works in`]
      : [`${gigabytes(gathered)} gathered`, `${gigabytes(activations)} of activations`]),
  ]
  const bytes = CONTEXT_BYTES + working + (cpuOffload ? 0 : shards)
  const speed = speedOf(settings, 'training')
  const updates = recipe.steps * (soap?.flops ?? 0)
  const updateSeconds =
    (recipe.steps * (soap?.flopsInTurn ?? 0)) / speedOf({ ...settings, dtype: 'float32' }, 'training')
  return {
    parameters,
    trained,
    tokens,
    flops: perToken * tokens + updates,
    seconds: onGpu ? (perToken * busiest) / speed + updateSeconds : (perToken * tokens + updates) / speed,
    memoryBytes: processes * (PROCESS_BYTES + inMain),
    memoryParts: [
      `each of ${processes} with ${parts.join(', ')}${onGpu && !cpuOffload ? ' on its GPU' : ''}`,
    ],
    ...(onGpu ? { device: deviceNeed(settings, processes, bytes, cpuOffload ? parts.slice(3) : parts) } : {}),
    disk: {
      weights: bytesOf(dtype) * (recipe.method === 'full' ? parameters : trained),
      state: FLOAT32 * (3 * trained + (soap?.bases ?? 0)),
    },
    keepsStates: keepStates,
    notes: notesOf(settings, job),
  }
}

function notesOf({ processes, device }: TorchSettings, job: TrainingJob): string[] {
  const { recipe } = job
  const notes: string[] = []
  const idle = processes * roundsOf({ processes }, recipe) - recipe.batch
  if (idle > 0) {
    notes.push(
      `${recipe.batch} packs a step over ${processes} processes: ${Math.round((100 * idle) / (recipe.batch + idle))}% of the ${device === 'cuda' ? 'GPUs' : 'processes'}' time is spent without a pack`,
    )
  }
  if (recipe.optimizer === 'soap') notes.push(...soapNotes(specsOf(job), recipe))
  return notes
}

/** GPUs that a served model is split over, at most: those of one node. */
const NODE = 8

/** Weights, keys and values; on a GPU nothing of it stays in main memory. 2 flops a parameter and token read or drawn. */
export function samplingCost(
  settings: Pick<TorchSettings, 'device' | 'dtype' | 'processes' | 'sampler' | 'assume'>,
  config: ModelConfig,
  { sequences, positions, tokens = sequences * positions }: SamplingNeed,
): SamplingCost {
  const { device, dtype, processes, sampler } = settings
  const parameters = parameterCount(config)
  const { layers, kvHeads, headDim } = config
  const cache = Math.min(sequences, TOGETHER) * positions * layers * 2 * kvHeads * headDim
  const [weightBytes, cacheBytes] = [bytesOf(dtype) * parameters, bytesOf(dtype) * cache]
  const flops = 2 * parameters * tokens
  if (device === 'cpu') {
    const held = weightBytes + cacheBytes
    return {
      parameters,
      memoryBytes: PROCESS_BYTES + held,
      memoryParts: [`${gigabytes(held)} of weights, keys and values in ${dtype}`],
      flops,
      seconds: flops / CPU_FLOPS,
    }
  }
  if (sampler !== 'forward' && typeof sampler.server === 'object') {
    const memory = { memoryBytes: 0, memoryParts: ['nothing here: a server has the model'] }
    return { parameters, ...memory, flops, seconds: flops / speedOf(settings, 'sampling') }
  }
  const count = sampler === 'forward' ? 1 : Math.min(processes, NODE)
  const bytes = CONTEXT_BYTES + (weightBytes + cacheBytes) / count
  const parts = [
    `${gigabytes(weightBytes / count)} of weights`,
    `${gigabytes(cacheBytes / count)} of keys and values`,
  ]
  return {
    parameters,
    memoryBytes: PROCESS_BYTES,
    memoryParts: ['Python; the model is on the GPU'],
    flops,
    seconds: flops / (count * speedOf(settings, 'sampling')),
    device: deviceNeed(settings, count, bytes, parts),
  }
}

/** Flops a second that one device is assumed to sustain. Where no GPU is named, times are told for an H100. */
function speedOf(
  { device, dtype, assume }: Pick<TorchSettings, 'device' | 'dtype' | 'assume'>,
  work: 'training' | 'sampling',
): number {
  if (device === 'cpu') return CPU_FLOPS
  return (assume.gpu ?? gpuOf('h100')).flops[dtype] * assume[work]
}

function deviceNeed(
  { assume: { gpu } }: Pick<TorchSettings, 'assume'>,
  count: number,
  bytes: number,
  parts: readonly string[],
): DeviceNeed {
  return { gpu: gpu?.name ?? null, count, bytes, parts, availableBytes: gpu?.memoryBytes ?? null }
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e9 ? 2 : 1)} GB`
