/** The grid of a run: which organisms, techniques, axis values and seeds there are, in the order of the experiment file. */
import type { Cell, DoneCell, Results } from './results.ts'
import { axisText } from './words.ts'

/** One combination of axis values; `text` is empty where a run has no axes. */
export interface AxisValues {
  readonly key: string
  readonly text: string
}

export interface Grid {
  readonly organisms: readonly string[]
  readonly techniques: readonly string[]
  readonly axes: readonly AxisValues[]
  /** The cells of one place, one for each seed. */
  at(organism: string, technique: string, axes: AxisValues): Cell[]
}

const axisKey = (cell: Cell): string => JSON.stringify(Object.entries(cell.axes))

/** Names in the order of `all`; those that only cells know come last. */
function inOrder(all: readonly string[], used: readonly string[]): string[] {
  return [...new Set([...all.filter((name) => used.includes(name)), ...used])]
}

export function gridOf(results: Results): Grid {
  const texts = new Map(results.cells.map((cell) => [axisKey(cell), axisText(cell.axes)]))
  return {
    organisms: inOrder(
      results.organisms.map((o) => o.name),
      results.cells.map((c) => c.organism),
    ),
    techniques: inOrder(
      results.techniques.map((t) => t.name),
      results.cells.map((c) => c.technique),
    ),
    axes: [...texts].map(([key, text]) => ({ key, text })),
    at: (organism, technique, axes) =>
      results.cells.filter(
        (cell) => cell.organism === organism && cell.technique === technique && axisKey(cell) === axes.key,
      ),
  }
}

/** The axis values of a cell in words, e.g. `lr 1e-4`. */
export function axisOf(cell: Cell): string {
  return axisText(cell.axes)
}

export function isDone(cell: Cell): cell is DoneCell {
  return cell.status === 'done'
}

/** `pirate → depirate` for a technique that continues another. */
export function techniqueText(results: Results, name: string): string {
  const after = results.techniques.find((t) => t.name === name)?.after
  return after === null || after === undefined ? name : `${techniqueText(results, after)} → ${name}`
}

/** One word; a star stands for the words in brackets, which the report's table has in full. */
export function shortVerdict(cell: Cell): string {
  const text = verdictText(cell)
  return text.includes('(') ? `${text.slice(0, text.indexOf('(')).trim()}*` : text
}

/** The verdict as it is printed, or why there is none. */
export function verdictText(cell: Cell): string {
  if (cell.status === 'not_installed') return 'not installed'
  return cell.status === 'failed' ? 'failed' : cell.label
}
