/** The numbers behind the grid: rates with their intervals, for each seed and for all seeds together. */
import { wilson } from '../../analysis/intervals.ts'
import type { Count, CurvePoint, DoneCell, MeasuredCount } from '../results.ts'

/** One mark of a panel. */
export interface Mark {
  readonly series: string
  readonly step: number
  readonly rate: number
  /** Ends of the 95% interval. */
  readonly lo: number
  readonly hi: number
}

export interface SeedMark extends Mark {
  readonly seed: number
}

export interface PanelMarks {
  /** All seeds together: counts added up at each step. */
  readonly pooled: Mark[]
  /** Empty where there is one seed. */
  readonly seeds: SeedMark[]
}

function countsOf(point: CurvePoint): [series: string, count: MeasuredCount][] {
  return [
    ['triggered', point.triggered],
    ['untriggered', point.untriggered],
    ...Object.entries(point.capabilities),
  ]
}

function mark(series: string, step: number, { k, n, interval: [lo, hi] }: MeasuredCount): Mark {
  return { series, step, rate: k / n, lo, hi }
}

/** Where there are several seeds, figures draw no interval. */
function pooledCount(a: Count, b: Count): MeasuredCount {
  const sum = { k: a.k + b.k, n: a.n + b.n }
  const { lower, upper } = wilson(sum)
  return { ...sum, interval: [lower, upper] }
}

/** Marks of the cells of one panel, which differ by seed alone. Points that asked nothing are left out. */
export function panelMarks(cells: readonly DoneCell[]): PanelMarks {
  const sums = new Map<string, { series: string; step: number; count: MeasuredCount }>()
  const seeds: SeedMark[] = []
  for (const cell of cells) {
    for (const point of cell.curves) {
      for (const [series, count] of countsOf(point)) {
        if (count.n === 0) continue
        seeds.push({ ...mark(series, point.step, count), seed: cell.seed })
        const key = `${series} ${point.step}`
        const before = sums.get(key)?.count
        sums.set(key, { series, step: point.step, count: before ? pooledCount(before, count) : count })
      }
    }
  }
  const pooled = [...sums.values()].map(({ series, step, count }) => mark(series, step, count))
  return { pooled, seeds: cells.length > 1 ? seeds : [] }
}

/** Series of a set of panels: the backdoor first, then capabilities in order of appearance. */
export function seriesNames(cells: readonly DoneCell[]): string[] {
  const names = cells.flatMap((cell) => cell.curves.flatMap((point) => countsOf(point).map(([name]) => name)))
  return [...new Set(['triggered', 'untriggered', ...names])]
}
