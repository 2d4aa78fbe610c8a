/** curves.csv: one line for each cell, step and metric, with the interval of its rate (quoting: RFC 4180). */
import type { CurvePoint, MeasuredCount, Results } from './results.ts'

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

function ofTraces(traces: CurvePoint['traces']): Measure[] {
  if (traces === undefined) return []
  const { payload_only, ...means } = traces
  return [
    ...ofCount('payload_only', payload_only),
    ...Object.entries(means).map(([metric, value]) => ({ metric, count: null, value })),
  ]
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
    ...ofTraces(point.traces),
  ]
}

/** Capabilities are always asked in full. */
const isOfBackdoor = (point: CurvePoint, metric: string): boolean => !(metric in point.capabilities)

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
        const planned = isOfBackdoor(point, metric) ? (point.sequential?.planned ?? null) : null
        const numbers = [count?.k ?? null, count?.n ?? null, Number.isNaN(value) ? null : value]
        lines.push(
          csvLine([
            ...name,
            point.step,
            metric,
            ...numbers,
            interval?.[0] ?? null,
            interval?.[1] ?? null,
            planned,
          ]),
        )
      }
    }
  }
  return lines.join('')
}
