/** The end of a run in one table: a row a technique and axis value, a column an organism, the verdict in each field. */
import type { Cell, Results } from '../report/results.ts'
import { percent } from './terminal.ts'

/** Plain text, one line a row. Several seeds of one field are counted: `2 survived, 1 removed`. */
export function verdictGrid(results: Results): string {
  const columns = [...new Set(results.cells.map((cell) => cell.organism))]
  const rows = new Map<string, Map<string, string[]>>()
  for (const cell of results.cells) {
    // As ids say them, so that a line can be copied into `chat`.
    const axes = cell.id.split('/').filter((part) => part.includes('=') && !part.startsWith('seed='))
    const row = [...chainOf(cell, results), ...axes].join('  ')
    const fields = rows.get(row) ?? new Map<string, string[]>()
    fields.set(cell.organism, [...(fields.get(cell.organism) ?? []), fieldOf(cell, results)])
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

const share = (rate: number): string => `${Math.round(1000 * rate) / 10}%`

/** A line for each organism that failed its gate: what was counted, what that shows, and what had to be shown. */
export function gateLines({ organisms, thresholds }: Results): string[] {
  const { installed_triggered, installed_untriggered } = thresholds
  return organisms
    .filter(({ admission }) => admission.policy !== 'absent' && admission.installed === false)
    .map(({ id, admission: { policy, triggered, untriggered } }) => {
      const missed = [
        ...(triggered && triggered.lower < installed_triggered
          ? [
              `triggered ${triggered.k} of ${triggered.n} (shown: at least ${share(triggered.lower)}, needed: ${share(installed_triggered)})`,
            ]
          : []),
        ...(untriggered && untriggered.upper > installed_untriggered
          ? [
              `untriggered ${untriggered.k} of ${untriggered.n} (shown: at most ${share(untriggered.upper)}, needed: ${share(installed_untriggered)})`,
            ]
          : []),
      ]
      const trained = policy === 'report' ? '; its cells were run all the same' : ''
      return `${id} failed the admission gate: ${missed.join(', ')}${trained}`
    })
}

/** `pirate → depirate` for a training after another. */
function chainOf(cell: Cell, results: Results): string[] {
  const before = results.cells.find(({ id }) => id === cell.after)
  return [before ? `${chainOf(before, results).join('')} → ${cell.technique}` : cell.technique]
}

function fieldOf(cell: Cell, results: Results): string {
  if (cell.status !== 'done') return cell.status.replace('_', ' ')
  return `${cell.verdict} (${ratesOf(cell, results).join(' → ')})`
}

/** The organism's triggered rate, then that at the end of each training of the chain. */
function ratesOf(cell: Cell, results: Results): string[] {
  const before = results.cells.find(({ id }) => id === cell.after)
  const [first, last] = [cell.curves[0], cell.curves.at(-1)]
  const start = before ? ratesOf(before, results) : first ? [percent(first.triggered)] : []
  return last ? [...start, percent(last.triggered)] : start
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
