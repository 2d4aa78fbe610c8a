/** AdamW with decoupled decay and clipping to a global norm, sharded: each worker updates its own slice of the parameters. */
import { parameterSpecs, type LlamaConfig } from '../../model/config.ts'
import type { Recipe } from '../engine.ts'
import type { Kernels } from './kernels/kernels.ts'

/** Elements [from, to) of the flat parameter vector. */
export interface Slice {
  readonly from: number
  readonly to: number
}

/** A run of the flat vector whose elements share their weight decay. */
export interface DecayRun extends Slice {
  readonly decays: boolean
}

/** Byte offsets of the flat vectors that an update reads and writes. */
export interface OptimizerVectors {
  readonly weightsAt: number
  readonly mAt: number
  readonly vAt: number
  readonly gradientAt: number
}

/** Equal parts in multiples of four elements, one a worker; together they are [0, parameters). */
export function sliceOf(parameters: number, worker: number, workers: number): Slice {
  const edge = (w: number): number =>
    w === workers ? parameters : Math.floor((parameters * w) / workers / 4) * 4
  return { from: edge(worker), to: edge(worker + 1) }
}

/**
 * The runs of one slice. Matrices decay, the embedding among them; norm gains do not: the convention of the Hugging Face
 * Trainer (`get_decay_parameter_names`).
 */
export function decayRuns(config: LlamaConfig, slice: Slice): DecayRun[] {
  const runs: DecayRun[] = []
  for (const { shape, offset, size } of parameterSpecs(config)) {
    const from = Math.max(offset, slice.from)
    const to = Math.min(offset + size, slice.to)
    if (from >= to) continue
    const decays = shape.length > 1
    const last = runs.at(-1)
    if (last?.decays === decays) runs[runs.length - 1] = { from: last.from, to, decays }
    else runs.push({ from, to, decays })
  }
  return runs
}

/** What the gradient is multiplied by so that its norm is at most `clip` (as torch.nn.utils.clip_grad_norm_). */
export function clipScale(gradNorm: number, clip: number): number {
  return Math.min(1, clip / (gradNorm + 1e-6))
}

/** Update number `step` (from 1) of the given runs. */
export function adamwUpdate(
  kernels: Kernels,
  vectors: OptimizerVectors,
  runs: readonly DecayRun[],
  {
    recipe,
    step,
    lr,
    gradScale,
  }: { readonly recipe: Recipe; readonly step: number; readonly lr: number; readonly gradScale: number },
): void {
  const { beta1, beta2, eps } = recipe
  const stepSize = lr / (1 - beta1 ** step)
  const correction2 = 1 / (1 - beta2 ** step)
  for (const { from, to, decays } of runs) {
    const bytes = from * 4
    kernels.adamw(
      vectors.weightsAt + bytes,
      vectors.gradientAt + bytes,
      vectors.mAt + bytes,
      vectors.vAt + bytes,
      to - from,
      gradScale,
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      eps,
      1 - lr * (decays ? recipe.weight_decay : 0),
      stepSize,
      correction2,
    )
  }
}
