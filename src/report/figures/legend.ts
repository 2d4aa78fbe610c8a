/** Legends in one line above the panels: strokes in colour and dash, or coloured symbols, each with its name. */
import { textWidth } from './font.ts'
import { colorOf, ink, seriesStyle } from './palette.ts'
import type { Layer } from './figure.ts'

export interface LegendEntry {
  readonly text: string
  readonly color: string
  readonly dash: readonly number[]
}

const SIZE = 10
const STROKE = 22
const GAP = 18

/** Layers for the first panel; `y` is the line's middle in pixels from the panel's top (negative: above). */
export function legendLayers(entries: readonly LegendEntry[], y: number): Layer[] {
  let left = 0
  return entries.flatMap(({ text, color, dash }) => {
    const from = left
    left += STROKE + 6 + textWidth(text, SIZE) + GAP
    return [
      {
        data: { values: [{}] },
        mark: { type: 'rule', color, strokeDash: dash, strokeWidth: 2 },
        encoding: { x: { value: from }, x2: { value: from + STROKE }, y: { value: y } },
      },
      {
        data: { values: [{ text }] },
        mark: { type: 'text', align: 'left', baseline: 'middle', fontSize: SIZE, color: ink.text },
        encoding: { text: { field: 'text' }, x: { value: from + STROKE + 6 }, y: { value: y } },
      },
    ]
  })
}

const LEGEND_GLYPHS: Readonly<Record<string, string>> = {
  circle: '●',
  square: '■',
  'triangle-up': '▲',
  diamond: '◆',
}

/** One line of coloured names above everything, for a grid whose last column has no curves to label. */
export function seriesLegend(series: readonly string[], y: number): Layer {
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
      y: { value: y },
      color: colorOf(series),
    },
  }
}
