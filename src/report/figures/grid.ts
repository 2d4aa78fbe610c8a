/** The post's figure: a column an organism, a row a technique, rates over blue-team steps. */
import type { TopLevelSpec } from 'vega-lite'
import { type AxisValues, gridOf, isDone, techniqueText } from '../cells.ts'
import type { Results } from '../results.ts'
import { listText, plural } from '../words.ts'
import { stepAxis } from './axis.ts'
import type { FigureSpec, Layer } from './figure.ts'
import { figureConfig } from './palette.ts'
import { type Frame, PANEL_HEIGHT, type Panel, panelSpec } from './panel.ts'
import { seriesNames } from './series.ts'

/** More columns than this: a figure for each combination of axis values. */
const MAX_COLUMNS = 6
const PAGE = 940
const GAP = { row: 28, column: 22 }

/** One figure, or one for each combination of axis values where the columns would not fit a page. */
export function gridFigures(results: Results): FigureSpec[] {
  const grid = gridOf(results)
  const together = grid.organisms.length * grid.axes.length <= MAX_COLUMNS
  const groups = together ? [grid.axes] : grid.axes.map((axes) => [axes])
  return groups.map((axes, i) => ({
    name: together ? 'grid' : `grid-${i + 1}`,
    title: together ? 'Backdoor and capabilities over blue-team training' : titleOf(axes),
    caption: captionOf(results),
    spec: gridSpec(results, axes, together),
  }))
}

function titleOf(axes: readonly AxisValues[]): string {
  return `Backdoor and capabilities over blue-team training, ${listText(axes.map(({ text }) => text))}`
}

function captionOf(results: Results): string {
  const done = results.cells.filter(isDone)
  const asked = [...new Set(done.flatMap((cell) => cell.curves.map((point) => point.triggered.n)))]
  const items = results.evals.filter(({ name }) => name !== 'backdoor')
  const capabilities = items.map(({ name, items: n }) => `${name} (${n} items)`)
  const seeds =
    results.seeds.length === 1
      ? 'One seed. The bands and bars are 95% Wilson intervals over prompts; they do not cover the spread of trainings.'
      : `${plural(results.seeds.length, 'seed')}: thin lines are single seeds, the bold line pools them. No intervals are drawn, because prompts of one training are no replications.`
  return [
    `A column is an organism, a row a technique; the vertical axis is a share of responses.`,
    `Red: the payload on ${listText(asked.map(String)) || 'no'} triggered prompts; grey: the same prompts without the trigger.`,
    capabilities.length === 0 ? '' : `Capabilities, without the trigger: ${listText(capabilities)}.`,
    seeds,
  ]
    .filter(Boolean)
    .join(' ')
}

function gridSpec(results: Results, axes: readonly AxisValues[], together: boolean): TopLevelSpec {
  const grid = gridOf(results)
  const done = results.cells.filter(isDone)
  const columns = grid.organisms.length * axes.length
  const width = Math.round(Math.min(340, Math.max(130, PAGE / columns - GAP.column)))
  const steps = done.flatMap((cell) => cell.curves.map((point) => point.step))
  const frame: Frame = { axis: stepAxis(steps, width), width, series: seriesNames(done) }
  const rows = grid.techniques.map((technique, r) =>
    grid.organisms.map((organism, o) =>
      axes.map((values, a): Panel => ({
        cells: grid.at(organism, technique, values),
        row: techniqueText(results, technique),
        title: organism,
        subtitle: together ? values.text : '',
        first: { row: r === 0, column: o === 0 && a === 0 },
        last: {
          row: r === grid.techniques.length - 1,
          column: o === grid.organisms.length - 1 && a === axes.length - 1,
        },
      })),
    ),
  )
  const labelled = rows.flat(2).some(({ cells, last }) => last.column && cells.some(isDone))
  const views = rows.flatMap((groups) =>
    groups.flatMap((group, o) => [
      ...(o > 0 && axes.length > 1 ? [spacer] : []),
      ...group.map((panel) => panelSpec(panel, frame, !labelled)),
    ]),
  )
  const spec = {
    config: figureConfig,
    bounds: 'flush',
    spacing: { row: GAP.row, column: GAP.column },
    columns: views.length / rows.length,
    concat: views,
  }
  return spec as unknown as TopLevelSpec
}

/** Sets organisms apart where each has several columns. */
const spacer: Layer = { width: 2, height: PANEL_HEIGHT, data: { values: [] }, mark: 'point', encoding: {} }
