/** AdamW with decoupled decay (Loshchilov & Hutter 2019), with the operations of torch.optim.AdamW. */
import type { ParameterSpec } from '../../model/config.ts'
import type { Recipe } from '../engine.ts'
import type { Kernels } from './kernels.ts'
import type { Optimizer } from './optimizer.ts'

/** Parameters [from, to) of the flat vector, alike in decay. */
interface Run {
  readonly from: number
  readonly to: number
  readonly decays: boolean
}

export function openAdamw(k: Kernels, recipe: Recipe, specs: readonly ParameterSpec[]): Optimizer {
  const runs = runsOf(specs)
  const count = runs.at(-1)?.to ?? 0
  const m = k.allocate(count)
  const v = k.allocate(count)
  const { beta1, beta2, eps, weight_decay } = recipe
  return {
    state: { exp_avg: m, exp_avg_sq: v },
    step: ({ weights, gradient, step, lr, gradScale }) => {
      for (const { from, to, decays: decay } of runs) {
        k.adamw(
          weights.subarray(from, to),
          gradient.subarray(from, to),
          m.subarray(from, to),
          v.subarray(from, to),
          to - from,
          gradScale,
          beta1,
          1 - beta1,
          beta2,
          1 - beta2,
          eps,
          1 - lr * (decay ? weight_decay : 0),
          lr / (1 - beta1 ** step),
          1 / (1 - beta2 ** step),
        )
      }
    },
  }
}

/** Matrices decay, the embedding among them; gains and biases do not (`get_decay_parameter_names` of the Hugging Face Trainer). */
export const decays = ({ shape }: ParameterSpec): boolean => shape.length > 1

/** Neighbours that are alike in one run. */
function runsOf(specs: readonly ParameterSpec[]): Run[] {
  const runs: Run[] = []
  for (const spec of specs) {
    const to = spec.offset + spec.size
    const last = runs.at(-1)
    if (last?.decays === decays(spec)) runs[runs.length - 1] = { ...last, to }
    else runs.push({ from: spec.offset, to, decays: decays(spec) })
  }
  return runs
}
