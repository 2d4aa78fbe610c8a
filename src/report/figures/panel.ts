/** One panel of the grid as Vega-Lite layers: bands, lines, points, its verdict, its labels. */
import { isDone, verdictText } from '../cells.ts'
import type { Cell } from '../results.ts'
import { type StepAxis, spread } from './axis.ts'
import { textWidth } from './font.ts'
import { ink, seriesStyle, verdictStyle } from './palette.ts'
import { type Mark, panelMarks } from './series.ts'

/** Pixels. */
export const PANEL_HEIGHT = 118
const LABEL_GAP = 11
/** Pixels between the capabilities' points of one checkpoint, so that their error bars stay apart. */
const DODGE = 3.5
const LEGEND_GLYPHS: Readonly<Record<string, string>> = {
  circle: '●',
  square: '■',
  'triangle-up': '▲',
  diamond: '◆',
}

/** A part of a Vega-Lite specification; Vega-Lite checks it when it compiles. */
export type Layer = Record<string, unknown>

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
      ...(withLegend && panel.first.row && panel.first.column ? [legendLayer(frame.series)] : []),
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
        titleFontSize: 11,
        titlePadding: 10,
      },
    },
  }
}

/** Organism and axis values above a column. */
function headLayers(panel: Panel): Layer[] {
  const head = (text: string, y: number, style: Layer): Layer => ({
    data: { values: [{ text }] },
    mark: { type: 'text', align: 'left', baseline: 'bottom', ...style },
    encoding: { text: { field: 'text' }, x: { value: 0 }, y: { value: y } },
  })
  const name = head(panel.title, panel.subtitle ? -31 : -19, {
    fontSize: 12,
    fontWeight: 'bold',
    color: ink.text,
  })
  return panel.subtitle ? [name, head(panel.subtitle, -18, { fontSize: 10, color: ink.soft })] : [name]
}

/** One line of coloured names above everything, for a grid whose last column has no curves to label. */
function legendLayer(series: readonly string[]): Layer {
  let right = 0
  const values = series.map((name) => {
    const left = right
    const text = `${LEGEND_GLYPHS[seriesStyle(name).shape] ?? '✚'} ${name}`
    right += textWidth(text, 10) + 16
    return { series: name, left, text }
  })
  return {
    data: { values },
    mark: { type: 'text', align: 'left', baseline: 'bottom', fontSize: 10 },
    encoding: {
      text: { field: 'text' },
      x: { field: 'left', type: 'quantitative', scale: null, axis: null },
      y: { value: -54 },
      color: colorOf(series),
    },
  }
}

function colorOf(series: readonly string[]): Layer {
  const range = series.map((name) => seriesStyle(name).color)
  return { field: 'series', type: 'nominal', scale: { domain: series, range }, legend: null }
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

/** The verdict, at the upper right outside of the panel. */
function cornerLayer(panel: Panel, frame: Frame): Layer {
  const counts = new Map<string, number>()
  for (const cell of panel.cells) counts.set(verdictText(cell), (counts.get(verdictText(cell)) ?? 0) + 1)
  const [first] = panel.cells
  const color = first && counts.size === 1 ? verdictStyle(first).text : ink.soft
  const words = [...counts].map(([text, n]) => (panel.cells.length === 1 ? text : `${n} ${text}`))
  return {
    data: { values: [{ text: words.join(' · ') }] },
    mark: { type: 'text', align: 'right', baseline: 'bottom', color, fontSize: 9.5, limit: frame.width },
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
    mark: { type: 'text', align: 'left', baseline: 'middle', fontSize: 10 },
    encoding: {
      text: { field: 'series' },
      x: { value: frame.width + 7 },
      y: { field: 'place', type: 'quantitative', scale: null, axis: null },
      color: colorOf(frame.series),
    },
  }
}
