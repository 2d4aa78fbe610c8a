/** The end of a run in one table: a row a technique and axis value, a column an organism, the verdict in each field. */
import type { Results } from '../report/results.ts'
import { percent } from './terminal.ts'

/** Plain text, one line a row. Several seeds of one field are counted: `2 survived, 1 removed`. */
export function verdictGrid(results: Results): string {
  const columns = [...new Set(results.cells.map((cell) => cell.organism))]
  const rows = new Map<string, Map<string, string[]>>()
  for (const cell of results.cells) {
    const axes = Object.entries(cell.axes).map(([name, value]) => `${name.split('.').at(-1)} ${value}`)
    const row = [cell.technique, ...axes].join('  ')
    const fields = rows.get(row) ?? new Map<string, string[]>()
    fields.set(cell.organism, [...(fields.get(cell.organism) ?? []), fieldOf(cell)])
    rows.set(row, fields)
  }
  const table = [
    ['', ...columns],
    ...[...rows].map(([name, fields]) => [
      name,
      ...columns.map((column) => summarise(fields.get(column) ?? [])),
    ]),
  ]
  const widths = table[0]?.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0))) ?? []
  return table
    .map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n')
}

function fieldOf(cell: Results['cells'][number]): string {
  if (cell.status !== 'done') return cell.status.replace('_', ' ')
  const first = cell.curves[0]?.triggered
  const last = cell.curves.at(-1)?.triggered
  if (first === undefined || last === undefined) return cell.verdict
  return `${cell.verdict} (${percent(first)} → ${percent(last)})`
}

function summarise(fields: readonly string[]): string {
  if (fields.length <= 1) return fields[0] ?? ''
  const counts = new Map<string, number>()
  for (const field of fields) {
    const verdict = field.split(' (')[0] ?? field
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
  }
  return [...counts].map(([verdict, n]) => `${n} ${verdict}`).join(', ')
}
