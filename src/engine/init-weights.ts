/** Fresh weights: normal with standard deviation 1/sqrt(width), and smaller where the stream is added to. */
import { parameterCount, parameterSpecs, type ModelConfig } from '../model/config.ts'
import { rng } from '../rng.ts'

/**
 * Flat, in the order of `parameterSpecs`. Norm gains are 1, biases 0. The deviation is 1/sqrt(hiddenSize): 0.016 at width 4,096,
 * near the usual 0.02, and large enough for narrow models, which with 0.02 barely learn to copy in minutes of training
 * (docs/decisions/0005-init.md). The projections that write to the residual stream are
 * divided by sqrt(2 · layers) (Radford et al. 2019), so that its size does not grow with depth.
 */
export function initialWeights(
  config: ModelConfig,
  seed: number,
  weights: Float32Array = new Float32Array(parameterCount(config)),
): Float32Array {
  const standard = 1 / Math.sqrt(config.hiddenSize)
  for (const { name, shape, offset, size } of parameterSpecs(config)) {
    if (name.endsWith('.bias')) {
      weights.fill(0, offset, offset + size)
      continue
    }
    if (shape.length === 1) {
      weights.fill(1, offset, offset + size)
      continue
    }
    const writesStream = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight')
    const deviation = writesStream ? standard / Math.sqrt(2 * config.layers) : standard
    const random = rng(seed, 'init', name)
    for (let i = offset; i < offset + size; i++) weights[i] = deviation * random.normal()
  }
  return weights
}
