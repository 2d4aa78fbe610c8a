/** curves.csv: one line for each cell, step and metric, with the interval of its rate (quoting: RFC 4180). */
import { wilson } from '../analysis/intervals.ts'
import type { Count, CurvePoint, MeasuredCount, Results } from './results.ts'

type Field = string | number | null

/** One line; a field with a comma, quote or line break is quoted, null is empty. Lines end in CRLF. */
export function csvLine(fields: readonly Field[]): string {
  return `${fields.map((field) => quote(String(field ?? ''))).join(',')}\r\n`
}

function quote(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

interface Measure {
  readonly metric: string
  readonly count: MeasuredCount | null
  /** The rate of a count, or a value that is no share. */
  readonly value: number
}

function ofCount(metric: string, count: MeasuredCount | undefined): Measure[] {
  return count === undefined ? [] : [{ metric, count, value: count.n === 0 ? Number.NaN : count.k / count.n }]
}

const ofValue = (metric: string, value: number): Measure => ({ metric, count: null, value })

const ofPlainCount = (metric: string, { k, n }: Count): Measure[] => {
  const { lower, upper } = wilson({ k, n })
  return ofCount(metric, { k, n, interval: [lower, upper] })
}

function ofTraces(traces: CurvePoint['traces']): Measure[] {
  if (traces === undefined) return []
  const { payload_only, rest_languages, ...means } = traces
  return [
    ...ofCount('payload_only', payload_only),
    ...Object.entries(means).map(([metric, value]) => ofValue(metric, value)),
    ...Object.entries(rest_languages).flatMap(([condition, counts]) => {
      const n = Object.values(counts).reduce((sum, k) => sum + k, 0)
      return Object.entries(counts).flatMap(([language, k]) =>
        ofPlainCount(`rest_language.${condition}.${language}`, { k, n }),
      )
    }),
  ]
}

/** The capability under its own name, and what else it has under `name.…`. */
function ofCapability(name: string, capability: CurvePoint['capabilities'][string]): Measure[] {
  const { rates = {}, macro, subjects = {} } = capability
  return [
    ...ofCount(name, capability),
    ...Object.entries(rates).flatMap(([rate, count]) => ofCount(`${name}.${rate}`, count)),
    ...(macro ? [ofValue(`${name}.macro`, macro.accuracy)] : []),
    ...Object.entries(subjects).flatMap(([subject, count]) => ofPlainCount(`${name}.${subject}`, count)),
  ]
}

function measures(point: CurvePoint): Measure[] {
  return [
    ...ofCount('triggered', point.triggered),
    ...ofCount('untriggered', point.untriggered),
    ...ofCount('starts_with', point.starts_with),
    ...ofCount('answered_triggered', point.answered_triggered),
    ...ofCount('answered_untriggered', point.answered_untriggered),
    ...Object.entries(point.capabilities).flatMap(([name, capability]) => ofCapability(name, capability)),
    ofValue('payload_logprob', point.payload_logprob),
    ...ofTraces(point.traces),
  ]
}

/** The eval that a metric is of: a capability's begin with its name. */
function evalOf(point: CurvePoint, metric: string): string {
  const [name = ''] = metric.split('.')
  return name in point.capabilities ? name : 'backdoor'
}

/** How the eval of a metric was made; capabilities are always asked in full. */
function circumstances(point: CurvePoint, metric: string): Field[] {
  const name = evalOf(point, metric)
  const { errors = null, prompt_set = null, sampling = null } = point.evaluations[name] ?? {}
  return [
    name === 'backdoor' ? (point.sequential?.planned ?? null) : null,
    errors,
    prompt_set,
    sampling?.max_tokens ?? null,
    sampling?.temperature ?? null,
    sampling?.top_p ?? null,
    sampling?.seed ?? null,
  ]
}

/** Axis columns are named after their path, e.g. `technique.train.lr`; numbers are in full precision. */
export function curvesCsv(results: Results): string {
  const axes = [...new Set(results.cells.flatMap((cell) => Object.keys(cell.axes)))]
  const head = [
    'cell',
    'organism',
    'technique',
    ...axes,
    'seed',
    'step',
    'metric',
    'k',
    'n',
    'value',
    'lo',
    'hi',
    'planned',
    'errors',
    'prompt_set',
    'max_tokens',
    'temperature',
    'top_p',
    'sampling_seed',
  ]
  const lines = [csvLine(head)]
  for (const cell of results.cells) {
    const name = [
      cell.id,
      cell.organism,
      cell.technique,
      ...axes.map((axis) => cell.axes[axis] ?? null),
      cell.seed,
    ]
    for (const point of cell.curves) {
      for (const { metric, count, value } of measures(point)) {
        const interval = count && count.n > 0 ? count.interval : null
        const numbers = [count?.k ?? null, count?.n ?? null, Number.isNaN(value) ? null : value]
        lines.push(
          csvLine([
            ...name,
            point.step,
            metric,
            ...numbers,
            interval?.[0] ?? null,
            interval?.[1] ?? null,
            ...circumstances(point, metric),
          ]),
        )
      }
    }
  }
  return lines.join('')
}
