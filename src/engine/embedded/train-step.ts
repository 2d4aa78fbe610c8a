/** One optimizer step: the gradient of its packs, its norm, an update. */
import { LabError } from '../../errors.ts'
import type { Recipe, StepMetrics } from '../engine.ts'
import type { PacksReader } from '../packs.ts'
import { clipScale, type Optimizer } from './optimizer.ts'
import { learningRate } from './schedule.ts'
import { tokenRows } from './token-rows.ts'
import type { Trainable } from './trainable.ts'
import { lossAndGradients, type Pass } from './transformer.ts'

export interface StepContext {
  readonly recipe: Recipe
  readonly packs: PacksReader
  /** Packs that go through the model at once. */
  readonly packsAtOnce: number
  readonly pass: Pass
  readonly trainable: Trainable
  readonly optimizer: Optimizer
}

/** One optimizer step. Throws ENGINE if the loss or the gradient is not finite; the weights are as before then. */
export function trainStep(context: StepContext, step: number): StepMetrics {
  const { recipe, packs, packsAtOnce: size, pass, trainable, optimizer } = context
  const { weights, gradient } = trainable
  const first = (step - 1) * recipe.batch
  const own = Array.from({ length: recipe.batch }, (_, i) => packs.read(first + i))
  const runs = Array.from({ length: Math.ceil(own.length / size) }, (_, i) =>
    tokenRows(own.slice(i * size, (i + 1) * size)),
  )
  const tokens = runs.reduce((n, { ids }) => n + ids.length, 0)
  const scored = runs.reduce((n, run) => n + run.scored.length, 0)
  if (scored === 0) throw new LabError('ENGINE', `step ${step}: none of its ${tokens} tokens is scored`)

  const loss = lossAndGradients(pass, runs, 1 / scored) / scored
  const gradNorm = Math.sqrt(pass.k.sumOfSquares(gradient, gradient.length))
  if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
    throw new LabError(
      'ENGINE',
      `step ${step}: the loss is ${loss} and the gradient norm ${gradNorm}; the training diverged`,
      { hint: 'Lower the learning rate, or lengthen the warmup.' },
    )
  }
  const lr = learningRate(recipe, step)
  optimizer.step({ weights, gradient, step, lr, gradScale: clipScale(gradNorm, recipe.clip) })
  return { step, loss, lr, gradNorm, tokens, scored }
}
