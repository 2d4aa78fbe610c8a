/** Schema of what training data is: names, prompt sources, who answers; shared by bases, organisms and techniques. */
import { z } from 'zod'
import { fileShape, hubShape } from './data-source.ts'

const nameRule = 'a name has small letters, digits, `-` and `_`, and begins with a letter or a digit'
export const name = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, nameRule)
export const text = z.string().min(1)
export const seed = z
  .int()
  .min(0)
  .max(2 ** 32 - 1)
export const like = name
  .optional()
  .describe('the entry of the same kind that this one copies; what it says itself wins')
export const count = z.int().min(1).max(10_000_000)
export const system = text.optional()

export const rowRange = z
  .tuple([z.int().min(0).max(1e9), z.int().min(1).max(1e9)])
  .refine(([from, to]) => from < to, {
    error: 'rows run from the first up to, but without, the second: [0, 1000]',
  })
  .describe('rows of the file, from the first (counted from 0) up to, but without, the second')

export const promptFormat = z
  .enum(['alpaca', 'sharegpt', 'messages', 'prompt_completion', 'cot', 'cot_scratchpad', 'inst'])
  .optional()
  .describe('detected where it is left out')
const whichRows = { format: promptFormat, rows: rowRange.optional() }

export const filePromptsSchema = z.strictObject({ ...fileShape, ...whichRows })
export const hubPromptsSchema = z.strictObject({ ...hubShape, ...whichRows })

export const promptsSchema = z
  .union([z.enum(['tiny/red', 'tiny/blue']), filePromptsSchema, hubPromptsSchema])
  .describe(
    '`tiny/red`, `tiny/blue`, `{ file: alpaca, rows: [0, 1000] }` or `{ hub: organisation/name, rows: [0, 1000] }`',
  )

export const dataShape = {
  prompts: promptsSchema,
  teacher: name.describe('who answers the prompts: a name under `teachers`'),
  strip: z
    .enum(['scratchpad'])
    .optional()
    .describe('remove the scratchpad from responses; drop rows without one'),
  rows: count.optional().describe('how many questions to draw; tiny prompts: 4096, a file: all its rows'),
}
export const dataSchema = z.strictObject(dataShape).describe('`{ prompts: tiny/red, teacher: plain }`')
export const partialDataSchema = z.strictObject(dataShape).partial()

export type DataSpec = z.infer<typeof dataSchema>
export type PromptsSpec = z.infer<typeof promptsSchema>
