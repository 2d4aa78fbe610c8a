/** The hyperparameters of one training as they stand in the file; after defaults they are the engine's Recipe. */
import { z } from 'zod'

const share = z.number().min(0).lt(1)

/** Every hyperparameter, without defaults. */
export const recipeShape = {
  method: z.enum(['full']).describe('which weights are trained: `full` is all of them'),
  optimizer: z.enum(['adamw']).describe('AdamW, with decoupled weight decay'),
  lr: z.number().positive().max(10).describe('peak learning rate'),
  schedule: z
    .enum(['cosine', 'linear', 'constant'])
    .describe('what the learning rate does after the warm-up'),
  warmup: share.describe('share of the steps in which the learning rate rises from 0'),
  batch: z.int().min(1).max(65_536).describe('packed sequences a step'),
  accumulate: z.int().min(1).max(65_536).describe('parts that a batch is computed in; changes memory only'),
  steps: z.int().min(1).max(10_000_000).describe('optimizer steps'),
  weight_decay: z.number().min(0).max(10).describe('decoupled weight decay'),
  beta1: share.describe("decay of Adam's first moment"),
  beta2: share.describe("decay of Adam's second moment"),
  eps: z.number().positive().max(1).describe("Adam's epsilon"),
  clip: z.number().positive().describe('largest global L2 norm of the gradient'),
}

/** The field's usual values for finetuning; `lr` and `steps` must be chosen. */
export const recipeDefaultsShape = {
  ...recipeShape,
  method: recipeShape.method.default('full'),
  optimizer: recipeShape.optimizer.default('adamw'),
  schedule: recipeShape.schedule.default('cosine'),
  warmup: recipeShape.warmup.default(0.1),
  batch: recipeShape.batch.default(8),
  accumulate: recipeShape.accumulate.default(1),
  weight_decay: recipeShape.weight_decay.default(0.01),
  beta1: recipeShape.beta1.default(0.9),
  beta2: recipeShape.beta2.default(0.999),
  eps: recipeShape.eps.default(1e-8),
  clip: recipeShape.clip.default(1),
}

export const recipeSchema = z
  .strictObject(recipeDefaultsShape)
  .describe('a recipe: `{ lr: 1e-4, steps: 128 }`')

/** A change to a recipe. */
export const partialRecipeSchema = z.strictObject(recipeShape).partial()

export type RecipeSpec = z.infer<typeof recipeSchema>
