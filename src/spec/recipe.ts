/** The hyperparameters of one training as they stand in the file; after defaults they are the engine's Recipe. */
import { z } from 'zod'

const share = z.number().min(0).lt(1)

const loraShape = {
  rank: z.int().min(1).max(4096).describe('rank of every adapter'),
  alpha: z
    .number()
    .positive()
    .max(1e6)
    .optional()
    .describe(
      'what an adapter adds is scaled by `alpha / rank`; twice the rank, so that another rank keeps the usual scale of 2',
    ),
  targets: z
    .array(z.enum(['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']))
    .min(1)
    .refine((names) => new Set(names).size === names.length, { error: 'a target is listed twice' })
    .describe('the linear layers that get adapters'),
}

/** PEFT's terms; adapters have no dropout. */
const loraSchema = z.strictObject({
  rank: loraShape.rank.default(64),
  alpha: loraShape.alpha,
  targets: loraShape.targets.default([
    'q_proj',
    'k_proj',
    'v_proj',
    'o_proj',
    'gate_proj',
    'up_proj',
    'down_proj',
  ]),
})

/** Every hyperparameter, without defaults. */
export const recipeShape = {
  method: z
    .enum(['full', 'lora'])
    .describe('what is trained: `full` is every weight, `lora` low-rank adapters beside frozen weights'),
  lora: loraSchema.optional().describe('the adapters of `method: lora`, without dropout: `{ rank: 16 }`'),
  optimizer: z
    .enum(['adamw', 'soap'])
    .describe(
      '`adamw`, or `soap`: Adam in the eigenbasis of the gradients; both with decoupled weight decay',
    ),
  precondition_frequency: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe("updates from one refresh of SOAP's bases to the next; default 10"),
  max_precond_dim: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe('a longer side of a matrix than this is not rotated by SOAP; default 4096'),
  one_sided_above: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe(
      'a matrix with a longer side than this is rotated on its shorter side alone; default 512. As large as `max_precond_dim`: every side up to that is rotated',
    ),
  lr: z.number().positive().max(10).describe('peak learning rate'),
  schedule: z
    .enum(['cosine', 'linear', 'constant'])
    .describe('what the learning rate does after the warm-up'),
  warmup: share.describe('share of the steps in which the learning rate rises from 0'),
  batch: z.int().min(1).max(65_536).describe('packed sequences a step'),
  steps: z.int().min(1).max(10_000_000).describe('optimizer steps'),
  weight_decay: z.number().min(0).max(10).describe('decoupled weight decay'),
  beta1: share.optional().describe("decay of Adam's first moment; default 0.9, with SOAP 0.95"),
  beta2: share.optional().describe("decay of Adam's second moment; default 0.999, with SOAP 0.95"),
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
  weight_decay: recipeShape.weight_decay.default(0.01),
  eps: recipeShape.eps.default(1e-8),
  clip: recipeShape.clip.default(1),
}

export const recipeSchema = z
  .strictObject(recipeDefaultsShape)
  .describe('a recipe: `{ lr: 1e-4, steps: 128 }`')

/** A change to a recipe. */
export const partialRecipeSchema = z
  .strictObject({ ...recipeShape, lora: z.strictObject(loraShape).partial() })
  .partial()

export type RecipeSpec = z.infer<typeof recipeSchema>

type Lora = z.infer<typeof loraSchema> & { readonly alpha: number }

/** A recipe with nothing left open. */
export type ResolvedRecipe = Omit<RecipeSpec, keyof Method | keyof Optimizer> &
  ResolvedMethod &
  ResolvedOptimizer

type Method = Pick<RecipeSpec, 'method' | 'lora'>
type ResolvedMethod = { readonly method: 'full' } | { readonly method: 'lora'; readonly lora: Lora }

/** What SOAP alone reads. */
export const soapKeys = ['precondition_frequency', 'max_precond_dim', 'one_sided_above'] as const

type Optimizer = Pick<RecipeSpec, 'optimizer' | (typeof soapKeys)[number] | 'beta1' | 'beta2'>
type ResolvedOptimizer = { readonly beta1: number; readonly beta2: number } & (
  | { readonly optimizer: 'adamw' }
  | ({ readonly optimizer: 'soap' } & Readonly<Record<(typeof soapKeys)[number], number>>)
)

export function resolveRecipe(recipe: RecipeSpec): ResolvedRecipe {
  const { method, lora, ...rest } = recipe
  const { optimizer, beta1, beta2, precondition_frequency, max_precond_dim, one_sided_above, ...common } =
    rest
  return {
    ...common,
    ...resolveMethod({ method, lora }),
    ...resolveOptimizer({
      optimizer,
      beta1,
      beta2,
      precondition_frequency,
      max_precond_dim,
      one_sided_above,
    }),
  }
}

function resolveMethod({ method, lora }: Method): ResolvedMethod {
  if (method === 'full') return { method }
  // A change for one organism may bring a part of the block.
  const { rank, alpha, targets } = loraSchema.parse(lora ?? {})
  return { method, lora: { rank, alpha: alpha ?? 2 * rank, targets } }
}

/** The usual values of each: Adam's for finetuning, those of SOAP's authors but for its limits (docs/decisions/0010). */
function resolveOptimizer(written: Optimizer): ResolvedOptimizer {
  const { optimizer, beta1, beta2 } = written
  if (optimizer === 'adamw') return { optimizer, beta1: beta1 ?? 0.9, beta2: beta2 ?? 0.999 }
  return {
    optimizer,
    precondition_frequency: written.precondition_frequency ?? 10,
    max_precond_dim: written.max_precond_dim ?? 4096,
    one_sided_above: written.one_sided_above ?? 512,
    beta1: beta1 ?? 0.95,
    beta2: beta2 ?? 0.95,
  }
}
