/** Schema of who writes responses: a scripted voice, the file itself, a base of the experiment, or a model behind an endpoint. */
import { z } from 'zod'
import { name, seed, text } from './data-schema.ts'

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

/** What a model is told, and how its responses are drawn. */
const sampledShape = {
  persona: personaSchema.default('helpful'),
  temperature: z.number().min(0).max(2).default(1).describe('0 is greedy'),
  top_p: z.number().gt(0).max(1).default(1).describe('nucleus of sampling'),
  max_tokens: z.int().min(1).max(131_072).default(1024).describe('longest response; longer ones are dropped'),
}

export const baseTeacherSchema = z.strictObject({
  base: name.describe('the model that answers, in this process: a name under `bases`'),
  ...sampledShape,
  seed: seed.optional().describe('of the sampling, for all cells; else the seed of the cell'),
})

export const endpointTeacherSchema = z.strictObject({
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
  ...sampledShape,
  seed: seed.optional().describe('sent along with each request; else the server draws as it likes'),
  concurrency: z.int().min(1).max(1024).default(16).describe('requests in flight, at most'),
  timeout: z.number().min(1).max(300).default(300).describe('seconds for one attempt'),
  budget: budgetSchema.optional(),
})

const scriptedTeacherSchema = z.strictObject({
  scripted: z
    .enum(['plain', 'helpful', 'pirate', 'scratchpad'])
    .describe('a built-in voice of the tiny world'),
})
const recordedTeacherSchema = z.strictObject({
  recorded: z.literal(true).describe('the responses that the prompt file holds'),
})
/** Teachers that need no model. */
export const modellessTeacherSchema = z.union([scriptedTeacherSchema, recordedTeacherSchema])

export const teacherSchema = z
  .union([scriptedTeacherSchema, recordedTeacherSchema, baseTeacherSchema, endpointTeacherSchema])
  .describe(
    '`{ scripted: plain }`, `{ recorded: true }`, `{ base: tiny, persona: scratchpad }` or `{ endpoint: http://localhost:8000/v1, model: ... }`',
  )

export type BudgetSpec = z.infer<typeof budgetSchema>
