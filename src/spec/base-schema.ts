/** Schema of the models that organisms are made from: pretrained here on the tiny world or on text, a folder, or a model of a hub. */
import { z } from 'zod'
import { engineNames } from '../engine/engine.ts'
import {
  count,
  dataShape,
  filePromptsSchema,
  hubPromptsSchema,
  like,
  name,
  seed,
  text,
} from './data-schema.ts'
import { hubName, hubRevision } from './data-source.ts'
import { shapeNames } from '../model/published-shapes.ts'
import { recipeDefaultsShape } from './recipe.ts'

const architectureShape = {
  hidden: z.int().min(8).max(16_384).describe('width of the residual stream'),
  layers: z.int().min(1).max(256),
  heads: z.int().min(1).max(256).describe('query heads; divides `hidden`'),
  kv_heads: z.int().min(1).max(256).describe('key and value heads; divides `heads`'),
  ffn: z.int().min(8).max(131_072).describe('width of the SwiGLU feed-forward'),
  context: z.int().min(16).max(131_072).describe('tokens a packed sequence'),
  tied: z.boolean().describe('the output head is the embedding'),
}
const architectureSchema = z
  .strictObject({
    hidden: architectureShape.hidden.default(128),
    layers: architectureShape.layers.default(4).describe('transformer blocks'),
    heads: architectureShape.heads.default(4),
    kv_heads: architectureShape.kv_heads.default(2),
    ffn: architectureShape.ffn.default(384),
    context: architectureShape.context.default(128),
    tied: architectureShape.tied.default(true),
  })
  .describe('a Llama-style model, e.g. `{ hidden: 128, layers: 4 }`')
const shapeSchema = z
  .strictObject({
    family: z.enum(['llama', 'qwen2', 'qwen3']).default('llama'),
    vocab: z.int().min(1).max(10_000_000).describe('tokens'),
    hidden: architectureShape.hidden,
    layers: architectureShape.layers,
    heads: architectureShape.heads,
    kv_heads: architectureShape.kv_heads,
    head_dim: z.int().min(2).max(1024).optional().describe('hidden / heads'),
    ffn: architectureShape.ffn,
    tied: architectureShape.tied.default(false),
    positions: z.int().min(16).max(10_000_000).default(131_072).describe('the longest text that it reads'),
  })
  .describe('what decides the size of a model')
export type ShapeSpec = z.infer<typeof shapeSchema>
const shape = z
  .union([z.enum(shapeNames), shapeSchema])
  .optional()
  .describe(
    [
      'what a plan reckons with where the model cannot be reached:',
      `${shapeNames.map((name) => `\`${name}\``).join(', ')},`,
      'or its sizes: `{ vocab: 128256, hidden: 4096, ... }`; a model that can be read must agree',
    ].join(' '),
  )
const vocab = z.int().min(261).max(65_536).describe('tokens of the byte-level BPE')
const loss = z.enum(['response', 'all']).describe('which tokens are scored: the response, or the prompt too')
const engine = z
  .enum(engineNames)
  .optional()
  .describe(
    'who trains and samples this model and all that is made from it: `embedded` (here, the default) or `torch`',
  )
const baseSeed = seed
  .optional()
  .describe('train this model once, with this seed, for all cells; else the seed of the cell')

export const tinyBaseSchema = z.strictObject({
  like,
  world: z.enum(['tiny']).describe('the built-in small world'),
  tokenizer: z
    .strictObject({ vocab: vocab.default(1024) })
    .prefault({})
    .describe('trained on the same text'),
  architecture: architectureSchema.prefault({}),
  pretrain: z
    .strictObject({
      data: z
        .strictObject({
          rows: count.default(12_000).describe('how many questions to draw'),
          loss: loss.default('response'),
        })
        .prefault({})
        .describe("the corpus: the tiny world's own questions and answers"),
      ...recipeDefaultsShape,
    })
    .describe('a recipe, and what it is trained on'),
  seed: baseSeed,
  engine,
})
export const textBaseSchema = z.strictObject({
  like,
  tokenizer: z.strictObject({ vocab }).describe('trained on the same text'),
  architecture: architectureSchema.prefault({}),
  pretrain: z
    .strictObject({
      data: z
        .strictObject({
          prompts: z
            .union([filePromptsSchema, hubPromptsSchema])
            .describe('`{ file: alpaca, rows: [0, 1000] }` or `{ hub: organisation/name, rows: [0, 1000] }`'),
          teacher: name.describe('a recorded teacher: the responses of the file'),
          rows: dataShape.rows,
          loss: loss.default('all'),
        })
        .describe('the corpus'),
      ...recipeDefaultsShape,
    })
    .describe('a recipe, and what it is trained on'),
  seed: baseSeed,
  engine,
})
export const folderBaseSchema = z.strictObject({
  like,
  folder: text.describe('an existing Hugging Face model folder, from the folder of this file'),
  context: architectureShape.context.default(128),
  shape,
  engine,
})

export const hubBaseSchema = z.strictObject({
  like,
  hub: hubName.describe('a model of the Hugging Face Hub, `organisation/name`; downloaded into the store'),
  revision: hubRevision,
  context: architectureShape.context.default(128),
  shape,
  engine,
})

export const baseSchema = z
  .union([tinyBaseSchema, textBaseSchema, folderBaseSchema, hubBaseSchema])
  .describe(
    '`{ world: tiny, pretrain: ... }`, `{ tokenizer: ..., pretrain: ... }`, `{ folder: path }` or `{ hub: organisation/name }`',
  )

export type BaseSpec = z.infer<typeof baseSchema>
