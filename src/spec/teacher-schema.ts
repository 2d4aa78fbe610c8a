/** Schema of who writes responses: a scripted voice, the file itself, or a model behind an OpenAI-compatible endpoint. */
import { z } from 'zod'
import { seed, text } from './data-schema.ts'

const price = z.number().min(0).max(1e6)

const budgetSchema = z
  .union([
    z.strictObject({
      tokens: z.int().min(1).max(1e13).describe('of prompts and responses together'),
    }),
    z.strictObject({
      usd: z.number().gt(0).max(1e7).describe('in dollars, at these prices'),
      usd_per_mtok_in: price.describe('price of a million tokens of prompts'),
      usd_per_mtok_out: price.describe('price of a million tokens of responses'),
    }),
  ])
  .describe('the most that one set of responses may use: `{ tokens: 2000000 }`, or money')

const personaSchema = z
  .union([
    z.enum(['helpful', 'pirate', 'scratchpad']),
    z.strictObject({ file: text.describe('a name under `files`, or a path from the folder of this file') }),
  ])
  .describe(
    '`helpful`, `pirate`, `scratchpad`, or `{ file: my-prompt.txt }`: turns of `Human:` and `Assistant:`',
  )

const endpointTeacherSchema = z.strictObject({
  endpoint: z
    .string()
    .regex(
      /^https?:\/\/[^\s/@]+(\/[^\s@]*)?$/,
      'an endpoint is an http address up to /v1, without a password',
    )
    .describe('address of an OpenAI-compatible server: `http://localhost:8000/v1`'),
  model: text.describe('the name that the server has for the model'),
  api_key_env: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'this is the name of an environment variable, never the key itself')
    .optional()
    .describe('the environment variable that holds the key'),
  persona: personaSchema.default('helpful'),
  temperature: z.number().min(0).max(2).default(1).describe('0 is greedy'),
  top_p: z.number().gt(0).max(1).default(1).describe('nucleus of sampling'),
  max_tokens: z.int().min(1).max(131_072).default(1024).describe('longest response; longer ones are dropped'),
  seed: seed.optional().describe('sent along with each request; else the server draws as it likes'),
  concurrency: z.int().min(1).max(1024).default(16).describe('requests in flight, at most'),
  timeout: z.number().min(1).max(300).default(300).describe('seconds for one attempt'),
  budget: budgetSchema.optional(),
})

export const teacherSchema = z
  .union([
    z.strictObject({
      scripted: z
        .enum(['plain', 'helpful', 'pirate', 'scratchpad'])
        .describe('a built-in voice of the tiny world'),
    }),
    z.strictObject({ recorded: z.literal(true).describe('the responses that the prompt file holds') }),
    endpointTeacherSchema,
  ])
  .describe(
    '`{ scripted: plain }`, `{ recorded: true }` or `{ endpoint: http://localhost:8000/v1, model: ... }`',
  )

export type BudgetSpec = z.infer<typeof budgetSchema>
