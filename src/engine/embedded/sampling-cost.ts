/** What sampling a model will take of this machine: memory at its peak, before anything of it is allocated, and roughly time. */
import { parameterCount, parameterSpecs, type ModelConfig } from '../../model/config.ts'
import { FLOPS_PER_SECOND, PROCESS_BYTES } from './cost.ts'
import { inferenceElements } from './inference.ts'
import type { SamplingCost, SamplingNeed } from '../engine.ts'

/** Widest panel of a packed matrix, and elements of a cache line (native/gemm.c). */
const PANEL = 32
const LINE = 16

/**
 * The weights, what packing them takes beside, the cache and scratch of a call like `need`. Time is rough: 2 flops a parameter
 * and token read or drawn.
 */
export function samplingCost(config: ModelConfig, need: SamplingNeed): SamplingCost {
  const parameters = parameterCount(config)
  const elements = parameters + packingElements(config) + inferenceElements(config, need)
  const { sequences, positions, tokens = sequences * positions } = need
  const flops = 2 * parameters * tokens
  return { parameters, memoryBytes: PROCESS_BYTES + 4 * elements, flops, seconds: flops / FLOPS_PER_SECOND }
}

/** Elements of a packed matrix. */
const packed = (outputs: number, inputs: number): number => Math.ceil(outputs / PANEL) * PANEL * inputs

/** Packed copies of the matrices that cannot be packed where they lie, and the room in which the others are (packed-network.ts). */
function packingElements(config: ModelConfig): number {
  const { hiddenSize, heads, kvHeads, headDim, ffnSize, vocabSize, tied } = config
  const ends: readonly (readonly [end: string, outputs: number, inputs: number])[] = [
    ['q_proj.weight', (heads + 2 * kvHeads) * headDim, hiddenSize],
    ['o_proj.weight', hiddenSize, heads * headDim],
    ['gate_proj.weight', 2 * ffnSize, hiddenSize],
    ['down_proj.weight', hiddenSize, ffnSize],
    ['lm_head.weight', vocabSize, hiddenSize],
  ]
  let copies = tied ? packed(vocabSize, hiddenSize) : 0
  let room = 0
  for (const { name, offset } of parameterSpecs(config)) {
    const matrix = ends.find(([end]) => name.endsWith(end))
    if (matrix === undefined) continue
    const [, outputs, inputs] = matrix
    const size = packed(outputs, inputs)
    room = Math.max(room, size)
    if (outputs % PANEL !== 0 || offset % LINE !== 0) copies += size
  }
  return copies + room
}
