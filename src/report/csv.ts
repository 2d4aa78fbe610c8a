/** curves.csv: one line for each cell, step and metric, with its Wilson interval (quoting: RFC 4180). */
import { wilson } from '../analysis/intervals.ts'
import type { Count, CurvePoint, Results } from './results.ts'

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
  readonly count: Count | null
  /** The rate of a count, or a value that is no share. */
  readonly value: number
}

function ofCount(metric: string, count: Count | undefined): Measure[] {
  return count === undefined ? [] : [{ metric, count, value: count.n === 0 ? Number.NaN : count.k / count.n }]
}

function measures(point: CurvePoint): Measure[] {
  return [
    ...ofCount('triggered', point.triggered),
    ...ofCount('untriggered', point.untriggered),
    ...ofCount('starts_with', point.starts_with),
    ...ofCount('answered_triggered', point.answered_triggered),
    ...ofCount('answered_untriggered', point.answered_untriggered),
    ...Object.entries(point.capabilities).flatMap(([name, count]) => ofCount(name, count)),
    { metric: 'payload_logprob', count: null, value: point.payload_logprob },
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
        const interval = count && count.n > 0 ? wilson(count) : null
        const numbers = [count?.k ?? null, count?.n ?? null, Number.isNaN(value) ? null : value]
        lines.push(
          csvLine([
            ...name,
            point.step,
            metric,
            ...numbers,
            interval?.lower ?? null,
            interval?.upper ?? null,
          ]),
        )
      }
    }
  }
  return lines.join('')
}
