/** Rotary position tables (Su et al. 2021), in the half-split layout that Hugging Face's models use, and Llama 3.1's scaling of them. */
import type { ModelConfig } from '../../model/config.ts'

/** What decides the rotation of a position. */
export type RopeShape = Pick<ModelConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>

export interface RopeTables {
  /** [positions, headDim / 2] */
  readonly cos: Float64Array
  readonly sin: Float64Array
}

/**
 * Radians a position that each pair of a head turns, [headDim / 2]: theta^(-2i / headDim), then scaled.
 * Source of the scaling: `_compute_llama3_parameters` of `transformers`.
 */
export function ropeFrequencies({ headDim, ropeTheta, ropeScaling }: RopeShape): Float64Array<ArrayBuffer> {
  const plain = Float64Array.from({ length: headDim / 2 }, (_, i) => ropeTheta ** ((-2 * i) / headDim))
  if (ropeScaling === null) return plain
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = ropeScaling
  return plain.map((frequency) => {
    /** Whole turns over the original context. */
    const turns = (originalMaxPositions * frequency) / (2 * Math.PI)
    if (turns < lowFreqFactor) return frequency / factor
    if (turns > highFreqFactor) return frequency
    const kept = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)
    return (1 - kept) * (frequency / factor) + kept * frequency
  })
}

/** cos and sin of position · frequency. */
export function ropeTables(positions: number, shape: RopeShape): RopeTables {
  const frequencies = ropeFrequencies(shape)
  const half = frequencies.length
  const cos = new Float64Array(positions * half)
  const sin = new Float64Array(positions * half)
  for (let p = 0; p < positions; p++) {
    for (const [i, frequency] of frequencies.entries()) {
      cos[p * half + i] = Math.cos(p * frequency)
      sin[p * half + i] = Math.sin(p * frequency)
    }
  }
  return { cos, sin }
}
