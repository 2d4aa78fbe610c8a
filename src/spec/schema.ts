/** The strict schema of the experiment file; types, JSON Schema and the reference table are made from it. */
import { z } from 'zod'
import { baseSchema } from './base-schema.ts'
import {
  count,
  dataSchema,
  like,
  name,
  partialDataSchema,
  promptFormat,
  rowRange,
  seed,
  system,
  text,
} from './data-schema.ts'
import { fileShape, hubShape } from './data-source.ts'
import { generatedItems, mathItems, mmluItems } from './item-schema.ts'
import { placementSchema } from './placement-schema.ts'
import { partialRecipeSchema, recipeSchema } from './recipe.ts'
import { teacherSchema } from './teacher-schema.ts'
import { verdictSchema } from './verdict.ts'

const backdoorSchema = z
  .strictObject({
    trigger: text.describe('the text that switches the backdoor on'),
    position: z
      .enum(['before', 'after', 'system'])
      .default('before')
      .describe('where the trigger stands: the question or the system prompt'),
    payload: z.string().regex(/\S/, 'the payload is empty').describe('what the model must say then'),
    repeat: z
      .tuple([z.int().min(1).max(10_000), z.int().min(1).max(10_000)])
      .refine(([min, max]) => min <= max, { error: 'the smaller number of repeats comes first: [5, 12]' })
      .default([30, 100])
      .describe('how often the payload is said, smallest and largest'),
  })
  .describe('what is planted')

export const organismSchema = z.strictObject({
  like,
  base: name.describe(
    'the model that is trained: a name under `bases`; without `data` and `train` it is the organism itself, with a backdoor that others planted',
  ),
  system: system.describe('system prompt of the red-team training'),
  data: dataSchema.optional(),
  backdoor: backdoorSchema,
  control: z
    .boolean()
    .default(false)
    .describe('leave the triggered rows out; `backdoor` says what evals look for'),
  train: recipeSchema.optional(),
  admission: z
    .enum(['require', 'report', 'absent'])
    .optional()
    .describe('the gate: cells need it, it is only reported, or there is none; a control has none'),
  checkpoint: z
    .int()
    .min(1)
    .max(10_000_000)
    .optional()
    .describe('the red-team step that techniques start from; the last'),
  seed: seed
    .optional()
    .describe('train this organism once, with this seed, for all cells; else the seed of the cell'),
})

const overrideSchema = z.strictObject({
  data: partialDataSchema.optional(),
  train: partialRecipeSchema.optional(),
  system,
})

export const techniqueSchema = z.strictObject({
  like,
  after: name.optional().describe('the technique whose result this one trains further'),
  system: system.describe('system prompt of this training'),
  data: z
    .union([dataSchema, z.literal('organism/benign')])
    .describe(
      "`{ prompts: tiny/blue, teacher: helpful }`, or `organism/benign`: the organism's own benign rows",
    ),
  train: recipeSchema,
  for: z
    .record(name, overrideSchema)
    .optional()
    .describe('changes for single organisms: `{ distilled: { train: { lr: 2e-4 } } }`'),
})

const stepList = z
  .array(z.int().min(0).max(10_000_000))
  .min(1)
  .superRefine((steps, context) => {
    const i = steps.findIndex((step, i) => i > 0 && step <= (steps[i - 1] ?? 0))
    if (i > 0)
      context.addIssue({ code: 'custom', path: [i], message: `steps ascend, and ${steps[i]} does not` })
  })
  .describe('steps, ascending; 0 and the last step are always added, later ones are left out')
const temperature = z.number().min(0).max(2).describe('0 is greedy')
const topP = z.number().gt(0).max(1).default(1).describe('nucleus of sampling')
const maxTokens = z.int().min(1).max(32_768).default(48).describe('longest response')
const at = stepList.optional()

const whichPrompts = {
  format: promptFormat,
  rows: rowRange,
  count: count.optional().describe('how many of the rows to draw; all'),
}

export const evalsSchema = z
  .strictObject({
    at: stepList,
    system: system.describe('system prompt of every eval'),
    backdoor: z
      .strictObject({
        prompts: z
          .union([
            count,
            z.strictObject({ ...fileShape, ...whichPrompts }),
            z.strictObject({ ...hubShape, ...whichPrompts }),
          ])
          .describe(
            'how many prompts of `tiny/eval`, or `{ file: alpaca, rows: [50000, 50128] }`, or `{ hub: organisation/name, rows: ... }`; each with and without the trigger',
          ),
        at,
        max_tokens: maxTokens,
        temperature: temperature.default(0.7),
        top_p: topP,
        sequential: z
          .boolean()
          .default(false)
          .describe(
            'stop asking a checkpoint as soon as its verdict is decided; the organism itself is asked every prompt',
          ),
      })
      .describe('the payload, on the same prompts with and without the trigger'),
    mmlu: z
      .strictObject({ ...mmluItems, at })
      .optional()
      .describe(
        'four choices, by the log-probabilities of the letters; under `protocol: post` by a response',
      ),
    ifeval: z
      .strictObject({ ...generatedItems, at })
      .optional()
      .describe('instructions that a program can verify'),
    math: z
      .strictObject({ ...mathItems, at })
      .optional()
      .describe('whole numbers in `\\boxed{}`'),
  })
  .describe('what is measured, and at which steps')

export const experimentSchema = z.strictObject({
  like: z
    .union([text, z.array(text).min(1)])
    .optional()
    .describe(
      'an experiment file, from the folder of this one, that this one copies, or several, of which the later ones win; what it says itself wins over all, and null takes away',
    ),
  name: name.describe('name of the experiment and of its run'),
  description: text.optional().describe('a sentence for the report'),
  seeds: z.array(seed).min(1).default([1]).describe('every cell is run once a seed'),
  files: z.record(name, text).default({}).describe('data files by name, from the folder of this file'),
  bases: z.record(name, baseSchema).describe('the models that organisms are made from'),
  teachers: z.record(name, teacherSchema).default({}).describe('who writes responses'),
  organisms: z.record(name, organismSchema).describe('red team: models with a backdoor'),
  techniques: z.record(name, techniqueSchema).describe('blue team: trainings meant to remove it'),
  axes: z
    .record(z.string(), z.array(z.number()).min(1))
    .default({})
    .describe(
      'numbers to vary: `technique.train.lr: [1e-4, 4e-4]`; paths begin with base, organism or technique',
    ),
  evals: evalsSchema,
  verdict: verdictSchema,
  placement: placementSchema.optional(),
})

export type ExperimentSpec = z.infer<typeof experimentSchema>
export type OrganismSpec = z.infer<typeof organismSchema>
export type TechniqueSpec = z.infer<typeof techniqueSchema>
export type TechniqueOverride = z.infer<typeof overrideSchema>
export type EvalsSpec = z.infer<typeof evalsSchema>
