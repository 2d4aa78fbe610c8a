/** Whether what is to be trained or sampled fits into the memory of this machine, told and checked before anything of it is allocated. */
import { samplingCost } from '../engine/embedded/sampling-cost.ts'
import type { SamplingCost } from '../engine/engine.ts'
import { LabError } from '../errors.ts'
import { configOf } from '../model/weights-of.ts'
import type { Stage } from './stage.ts'

/** The peak memory of one stage, estimated, and what takes it. */
export interface MemoryNeed {
  readonly bytes: number
  /** e.g. `0.6 GB of weights`. */
  readonly parts: readonly string[]
}

/** The stage of a plan that needs the most memory, against what there is. */
export interface MemoryForecast {
  readonly title: string
  readonly neededBytes: number
  readonly availableBytes: number
}

/** Bytes that this process may still take: what the machine has free, or what is left of the limit of its container. */
export function availableMemory(): number {
  return process.availableMemory()
}

/** Null where no stage has an estimate. */
export function memoryForecast(
  stages: readonly Stage[],
  availableBytes = availableMemory(),
): MemoryForecast | null {
  const largest = largestOf(stages)
  if (largest?.memory === undefined) return null
  return { title: largest.title, neededBytes: largest.memory.bytes, availableBytes }
}

/** Throws BAD_INPUT with the numbers if a stage needs more memory than there is. */
export function checkFits(stages: readonly Stage[], availableBytes = availableMemory()): void {
  const largest = largestOf(stages)
  if (largest?.memory === undefined || largest.memory.bytes <= availableBytes) return
  const { bytes, parts } = largest.memory
  throw new LabError(
    'BAD_INPUT',
    `${largest.title} needs about ${gigabytes(bytes)} of memory (${parts.join(', ')}), but ${gigabytes(availableBytes)} are available`,
    { hint: 'a smaller model or `context`, or `method: lora`, needs less' },
  )
}

/** What sampling a model takes: the weights in float32, and what packing them and the call take beside. */
export function samplingNeed({ parameters, memoryBytes, memoryParts }: SamplingCost): MemoryNeed {
  if (memoryParts !== undefined) return { bytes: memoryBytes, parts: memoryParts }
  const weights = 4 * parameters
  return {
    bytes: memoryBytes,
    parts: [
      `${gigabytes(weights)} of weights, ${(parameters / 1e6).toFixed(1)}M in float32`,
      `${gigabytes(memoryBytes - weights)} of packed copies, keys and values`,
    ],
  }
}

/** Positions of a long conversation; one that is longer takes more. */
const LONG_CHAT = 4096

/** Throws BAD_INPUT if a model folder, or an adapter's model, does not fit for sampling one conversation. */
export async function checkSamples(folder: string, availableBytes = availableMemory()): Promise<void> {
  const config = await configOf(folder)
  const positions = Math.min(config.maxPositions, LONG_CHAT)
  const { bytes, parts } = samplingNeed(samplingCost(config, { sequences: 1, positions }))
  if (bytes <= availableBytes) return
  throw new LabError(
    'BAD_INPUT',
    `${folder} needs about ${gigabytes(bytes)} of memory (${parts.join(', ')}), but ${gigabytes(availableBytes)} are available`,
  )
}

function largestOf(stages: readonly Stage[]): Stage | undefined {
  return stages.toSorted((a, b) => (b.memory?.bytes ?? 0) - (a.memory?.bytes ?? 0))[0]
}

/** `12.3 GB`, in powers of ten as disks and models are sold; small amounts as `45 MB`. */
export function gigabytes(bytes: number): string {
  return bytes < 1e8 ? `${Math.max(1, Math.round(bytes / 1e6))} MB` : `${(bytes / 1e9).toFixed(1)} GB`
}
