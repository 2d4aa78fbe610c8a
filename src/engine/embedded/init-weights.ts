/** Fresh weights: normal with standard deviation 0.02, as Llama in transformers, and smaller where the stream is added to. */
import { parameterCount, parameterSpecs, type LlamaConfig } from '../../model/config.ts'
import { rng } from '../../rng.ts'

const STANDARD_DEVIATION = 0.02

/**
 * Flat, in the order of `parameterSpecs`. Norm gains are 1. The projections that write to the residual stream are
 * divided by sqrt(2 · layers) (Radford et al. 2019), so that its size does not grow with depth.
 */
export function initialWeights(config: LlamaConfig, seed: number): Float32Array {
  const weights = new Float32Array(parameterCount(config))
  for (const { name, shape, offset, size } of parameterSpecs(config)) {
    if (shape.length === 1) {
      weights.fill(1, offset, offset + size)
      continue
    }
    const writesStream = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight')
    const deviation = writesStream ? STANDARD_DEVIATION / Math.sqrt(2 * config.layers) : STANDARD_DEVIATION
    const random = rng(seed, 'init', name)
    for (let i = offset; i < offset + size; i++) weights[i] = deviation * random.normal()
  }
  return weights
}
