/** Panels side by side with a line for each cell: colour is the organism, dash the axis values. */
import type { TopLevelSpec } from 'vega-lite'
import { type LegendEntry, legendLayers } from './legend.ts'
import { figureConfig, ink } from './palette.ts'
import type { Layer } from './figure.ts'

/** One curve; `points` ascending in x. `thin` is drawn behind it, e.g. the raw values of a running mean. */
export interface Line {
  readonly color: string
  readonly dash: readonly number[]
  readonly points: readonly { readonly x: number; readonly y: number }[]
  readonly thin?: readonly { readonly x: number; readonly y: number }[]
}

export interface LinePanel {
  readonly title: string
  readonly lines: readonly Line[]
  /** Vega-Lite scale and axis of the horizontal axis. */
  readonly x: { readonly title: string; readonly scale: Layer; readonly axis: Layer }
}

export interface LineFigure {
  readonly panels: readonly LinePanel[]
  readonly y: { readonly title: string; readonly scale: Layer; readonly axis: Layer }
  readonly legend: readonly LegendEntry[]
  readonly width: number
  /** Draws a point at each value. */
  readonly points: boolean
}

const HEIGHT = 150
const GAP = 28

/** Width of each of `count` panels in a page-wide figure, pixels. */
export function linePanelWidth(count: number): number {
  return Math.round(Math.min(380, Math.max(150, 980 / Math.max(1, count) - GAP)))
}

export function lineSpec(figure: LineFigure): TopLevelSpec {
  const spec = {
    config: figureConfig,
    bounds: 'flush',
    spacing: GAP,
    hconcat: figure.panels.map((panel, i) => panelSpec(figure, panel, i === 0)),
  }
  return spec as unknown as TopLevelSpec
}

function panelSpec(figure: LineFigure, panel: LinePanel, first: boolean): Layer {
  const x = {
    field: 'x',
    type: 'quantitative',
    title: panel.x.title,
    scale: panel.x.scale,
    axis: { grid: false, titleAnchor: 'start', labelFlush: false, ...panel.x.axis },
  }
  const y = {
    field: 'y',
    type: 'quantitative',
    title: first ? figure.y.title : null,
    scale: figure.y.scale,
    axis: { domain: false, ticks: false, labels: first, titlePadding: 8, ...figure.y.axis },
  }
  const encoding = { x, y }
  const lines = panel.lines.flatMap((line): Layer[] => {
    const mark = { type: 'line', color: line.color, strokeDash: line.dash, clip: true }
    const layers: Layer[] = []
    if (line.thin) {
      const thin = { type: 'line', color: line.color, strokeWidth: 0.6, opacity: 0.35, clip: true }
      layers.push({ data: { values: line.thin }, mark: thin, encoding })
    }
    layers.push({ data: { values: line.points }, mark: { ...mark, strokeWidth: 1.6 }, encoding })
    if (figure.points) {
      const dot = { type: 'point', filled: true, opacity: 1, size: 16, color: line.color }
      layers.push({ data: { values: line.points }, mark: dot, encoding })
    }
    return layers
  })
  const empty = { data: { values: [] }, mark: 'point', encoding }
  return {
    width: figure.width,
    height: HEIGHT,
    layer: [empty, ...lines, titleLayer(panel.title), ...(first ? legendLayers(figure.legend, -36) : [])],
  }
}

function titleLayer(text: string): Layer {
  return {
    data: { values: [{ text }] },
    mark: {
      type: 'text',
      align: 'left',
      baseline: 'bottom',
      fontSize: 11,
      fontWeight: 'bold',
      color: ink.text,
    },
    encoding: { text: { field: 'text' }, x: { value: 0 }, y: { value: -7 } },
  }
}
