/** One panel of the grid as Vega-Lite layers: bands, lines, points, its verdict, its labels. */
import { isDone, shortVerdict, verdictText } from '../cells.ts'
import type { Cell } from '../results.ts'
import { type StepAxis, spread } from './axis.ts'
import { textWidth } from './font.ts'
import type { Layer } from './figure.ts'
import { seriesLegend } from './legend.ts'
import { colorOf, ink, seriesStyle, verdictStyle } from './palette.ts'
import { type Mark, panelMarks } from './series.ts'

/** Pixels. */
export const PANEL_HEIGHT = 128
const LABEL_GAP = 12
const VERDICT_SIZE = 10.5
/** Pixels between the capabilities' points of one checkpoint, so that their error bars stay apart. */
const DODGE = 3.5

/** One place of the grid: the cells that differ by seed alone, and where it lies. */
export interface Panel {
  readonly cells: readonly Cell[]
  readonly row: string
  readonly title: string
  readonly subtitle: string
  readonly first: { readonly row: boolean; readonly column: boolean }
  readonly last: { readonly row: boolean; readonly column: boolean }
}

/** What all panels of a figure share. */
export interface Frame {
  readonly axis: StepAxis
  readonly width: number
  readonly series: readonly string[]
}

/** The view of one panel. */
export function panelSpec(panel: Panel, frame: Frame, withLegend: boolean): Layer {
  const done = panel.cells.filter(isDone)
  return {
    width: frame.width,
    height: PANEL_HEIGHT,
    layer: [
      {
        data: { values: [{ step: 0, rate: 0 }] },
        mark: { type: 'point', opacity: 0 },
        encoding: xy(panel, frame),
      },
      ...(done.length === 0 ? absentLayers(panel, frame) : curveLayers(panel, frame)),
      ...(panel.first.row ? headLayers(panel) : []),
      ...(withLegend && panel.first.row && panel.first.column ? [seriesLegend(frame.series, -54)] : []),
    ],
  }
}

/** Position encodings with their axes; every layer of a panel has the same, or Vega-Lite merges them into another. */
function xy(panel: Panel, { axis }: Frame): { x: Layer; y: Layer } {
  return {
    x: {
      field: 'step',
      type: 'quantitative',
      scale: axis.scale,
      title: panel.last.row && panel.first.column ? 'blue-team steps' : null,
      axis: {
        values: axis.ticks,
        grid: false,
        labels: panel.last.row,
        format: 'd',
        labelOverlap: false,
        labelFlush: false,
        titleAnchor: 'start',
      },
    },
    y: {
      field: 'rate',
      type: 'quantitative',
      scale: { domain: [0, 1] },
      title: panel.first.column ? panel.row : null,
      axis: {
        values: [0, 0.25, 0.5, 0.75, 1],
        domain: false,
        ticks: false,
        labels: panel.first.column,
        format: '.0%',
        labelOverlap: false,
        titleFontWeight: 'bold',
        titleFontSize: 12,
        labelPadding: 7,
        titlePadding: 10,
      },
    },
  }
}

/** Organism and axis values above a column. */
function headLayers({ title, subtitle }: Panel): Layer[] {
  const name = { fontSize: 13, fontWeight: 'bold', color: ink.text }
  if (subtitle === '') return [headLayer(title, -19, name)]
  return [headLayer(title, -31, name), headLayer(subtitle, -18, { fontSize: 11, color: ink.soft })]
}

/** A line of text at the left, `y` pixels from the panel's top. */
function headLayer(text: string, y: number, style: Layer): Layer {
  return {
    data: { values: [{ text }] },
    mark: { type: 'text', align: 'left', baseline: 'bottom', ...style },
    encoding: { text: { field: 'text' }, x: { value: 0 }, y: { value: y } },
  }
}

function absentLayers(panel: Panel, frame: Frame): Layer[] {
  const [cell] = panel.cells
  const text = cell === undefined ? 'not in this experiment' : verdictText(cell)
  const mark = { type: 'text', align: 'center', baseline: 'middle', color: ink.soft, fontSize: 11 }
  return [
    {
      data: { values: [{ text }] },
      mark,
      encoding: { text: { field: 'text' }, x: { value: frame.width / 2 }, y: { value: PANEL_HEIGHT / 2 } },
    },
  ]
}

function curveLayers(panel: Panel, frame: Frame): Layer[] {
  const { pooled, seeds } = panelMarks(panel.cells.filter(isDone))
  const capabilities = frame.series.slice(2)
  const isBackdoor = (name: string): boolean => !capabilities.includes(name)
  const nudged = <T extends { series: string; step: number }>(marks: readonly T[]): T[] =>
    marks.map((mark) => {
      const place = capabilities.indexOf(mark.series)
      const pixels = place < 0 ? 0 : (place - (capabilities.length - 1) / 2) * DODGE
      return { ...mark, step: frame.axis.nudge(mark.step, pixels) }
    })
  const backdoor = pooled.filter((mark) => isBackdoor(mark.series))
  const ability = nudged(pooled.filter((mark) => !isBackdoor(mark.series)))
  const color = colorOf(frame.series)
  const shapes = frame.series.map((name) => seriesStyle(name).shape)
  const shape = { ...color, scale: { domain: frame.series, range: shapes } }
  const { x, y } = xy(panel, frame)
  const span = { x, y: { ...y, field: 'lo' }, y2: { field: 'hi' }, color }
  const single = seeds.length === 0
  const layers: Layer[] = []
  if (single) {
    layers.push(
      { data: { values: backdoor }, mark: { type: 'area', opacity: 0.16, line: false }, encoding: span },
      { data: { values: ability }, mark: { type: 'rule', strokeWidth: 1, opacity: 0.75 }, encoding: span },
    )
  } else {
    layers.push({
      data: { values: nudged(seeds) },
      mark: { type: 'line', strokeWidth: 0.6, opacity: 0.5 },
      encoding: { x, y, color, detail: { field: 'seed' } },
    })
  }
  const dot = { type: 'point', filled: true, opacity: 1 }
  layers.push(
    {
      data: { values: ability },
      mark: { type: 'line', strokeWidth: 1, opacity: 0.7 },
      encoding: { x, y, color },
    },
    { data: { values: ability }, mark: { ...dot, size: 22 }, encoding: { x, y, color, shape } },
    {
      data: { values: backdoor },
      mark: { type: 'line', strokeWidth: 1.8, opacity: 1 },
      encoding: { x, y, color },
    },
    { data: { values: backdoor }, mark: { ...dot, size: 13 }, encoding: { x, y, color } },
    cornerLayer(panel, frame),
  )
  if (panel.last.column) layers.push(labelsLayer(pooled, frame))
  return layers
}

/** The verdict, at the upper right outside of the panel; of several seeds how many have which. */
function cornerLayer(panel: Panel, frame: Frame): Layer {
  const counted = (words: (cell: Cell) => string): string => {
    const counts = new Map<string, number>()
    for (const cell of panel.cells) counts.set(words(cell), (counts.get(words(cell)) ?? 0) + 1)
    return [...counts].map(([text, n]) => (panel.cells.length === 1 ? text : `${n} ${text}`)).join(' · ')
  }
  const full = counted(verdictText)
  const text = textWidth(full, VERDICT_SIZE) <= frame.width ? full : counted(shortVerdict)
  const [first] = panel.cells
  const alike = new Set(panel.cells.map(verdictText)).size === 1
  const color = first && alike ? verdictStyle(first).text : ink.soft
  return {
    data: { values: [{ text }] },
    mark: {
      type: 'text',
      align: 'right',
      baseline: 'bottom',
      color,
      fontSize: VERDICT_SIZE,
      limit: frame.width,
    },
    encoding: { text: { field: 'text' }, x: { value: frame.width }, y: { value: -4 } },
  }
}

/** Names of the series at the right of their last point, moved apart where they would overlap. */
function labelsLayer(pooled: readonly Mark[], frame: Frame): Layer {
  const lasts = frame.series.flatMap((series) => {
    const points = pooled.filter((mark) => mark.series === series)
    const last = points.toSorted((a, b) => a.step - b.step).at(-1)
    return last ? [last] : []
  })
  const wanted = lasts.map(({ rate }) => (1 - rate) * PANEL_HEIGHT)
  const placed = spread(wanted, LABEL_GAP, 0, PANEL_HEIGHT)
  const values = lasts.map(({ series }, i) => ({ series, place: placed[i] ?? 0 }))
  return {
    data: { values },
    mark: { type: 'text', align: 'left', baseline: 'middle', fontSize: 11 },
    encoding: {
      text: { field: 'series' },
      x: { value: frame.width + 9 },
      y: { field: 'place', type: 'quantitative', scale: null, axis: null },
      color: colorOf(frame.series),
    },
  }
}
