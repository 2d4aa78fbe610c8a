/** A legend in one line above the panels: short strokes in colour and dash, each with its name. */
import { textWidth } from './font.ts'
import { ink } from './palette.ts'
import type { Layer } from './panel.ts'

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
