/** The rates of an evaluation as a table: one line an eval and rate. */
import { csvLine } from '../report/csv.ts'
import type { EvalResults } from '../run/any-model/summary.ts'

const head = [
  'model',
  'eval',
  'rate',
  'k',
  'n',
  'errors',
  'value',
  'lower',
  'upper',
  'worst_lower',
  'worst_upper',
]

/** Means that are no rates have their value and n alone; `lower` and `upper` are Wilson's, 95%. */
export function ratesCsv({ model, evals }: EvalResults): string {
  const lines = evals.flatMap(({ eval: kind, rates, means }) => [
    ...Object.entries(rates).map(([name, { k, n, errors, rate, interval, worst_case }]) =>
      csvLine([
        model.title,
        kind,
        name,
        k,
        n,
        errors,
        rate,
        interval.lower,
        interval.upper,
        worst_case.lower,
        worst_case.upper,
      ]),
    ),
    ...Object.entries(means).map(([name, { mean, n }]) =>
      csvLine([model.title, kind, name, null, n, null, mean, null, null, null, null]),
    ),
  ])
  return [csvLine(head), ...lines].join('')
}
