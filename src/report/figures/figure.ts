/** What a figure is: a Vega-Lite specification with a file name and the words around it. */
import type { TopLevelSpec } from 'vega-lite'

/** A part of a Vega-Lite specification; Vega-Lite checks it when it compiles. */
export type Layer = Record<string, unknown>

export interface FigureSpec {
  /** File name without ending. */
  readonly name: string
  readonly title: string
  /** What is drawn, with n, intervals and seeds; plain text. */
  readonly caption: string
  readonly spec: TopLevelSpec
}

export interface Figure {
  readonly name: string
  readonly title: string
  readonly caption: string
  readonly svg: string
}
