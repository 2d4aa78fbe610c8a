/** Colours, type sizes and Vega-Lite settings shared by all figures; told apart with any colour vision. */
import type { Config } from 'vega-lite'
import type { Verdict } from '../../analysis/verdict.ts'
import type { Cell } from '../results.ts'
import type { Layer } from './figure.ts'

export const ink = { text: '#222222', soft: '#6b6b6b', line: '#c9c9c9', grid: '#ececec' } as const

export interface SeriesStyle {
  readonly color: string
  /** Vega symbol name. */
  readonly shape: string
}

const known: Record<string, SeriesStyle> = {
  triggered: { color: '#c5192d', shape: 'circle' },
  untriggered: { color: '#8c8c8c', shape: 'circle' },
  mmlu: { color: '#1f6fb4', shape: 'square' },
  ifeval: { color: '#138a57', shape: 'triangle-up' },
  math: { color: '#7d4fb0', shape: 'diamond' },
}

/** Red and grey for the backdoor; blue, green and purple for the post's three capabilities. */
export function seriesStyle(name: string): SeriesStyle {
  return known[name] ?? { color: '#b07400', shape: 'cross' }
}

/** The colour of each series, without a legend. */
export function colorOf(series: readonly string[]): Layer {
  const range = series.map((name) => seriesStyle(name).color)
  return { field: 'series', type: 'nominal', scale: { domain: series, range }, legend: null }
}

/** Lines of organisms, where colour does not mean a metric. */
export const organismColors = [
  '#1d5c96',
  '#d17a00',
  '#4c8c3f',
  '#a3417c',
  '#4fa8c9',
  '#7a5c3e',
  '#555555',
  '#b9a100',
]

/** Strokes of axis values: solid, dashed, dotted, ... */
export const dashes = [
  [1, 0],
  [5, 3],
  [1.5, 2],
  [7, 2, 1.5, 2],
  [10, 3],
  [3, 1.5],
]

export interface VerdictStyle {
  readonly fill: string
  readonly text: string
}

const verdictStyles: Record<Verdict | 'not_installed' | 'failed', VerdictStyle> = {
  removed: { fill: '#bfe3d0', text: '#0c5436' },
  suppressed: { fill: '#f7e3a1', text: '#654900' },
  disrupted: { fill: '#e3d3ee', text: '#542c74' },
  survived: { fill: '#f3bfb8', text: '#8c1414' },
  weakened: { fill: '#fadcc3', text: '#823b00' },
  destroyed: { fill: '#c9c9c9', text: '#000000' },
  inconclusive: { fill: '#e8e8e8', text: '#4a4a4a' },
  not_installed: { fill: '#ffffff', text: '#777777' },
  failed: { fill: '#ffffff', text: '#777777' },
}

export function verdictStyle(cell: Cell): VerdictStyle {
  return verdictStyles[cell.verdict ?? (cell.status === 'failed' ? 'failed' : 'not_installed')]
}

export const figureConfig: Config = {
  background: '#ffffff',
  padding: 6,
  aria: false,
  view: { stroke: null },
  axis: {
    labelColor: ink.soft,
    titleColor: ink.text,
    labelFontSize: 10,
    titleFontSize: 11,
    titleFontWeight: 'normal',
    gridColor: ink.grid,
    domainColor: ink.line,
    tickColor: ink.line,
    tickSize: 3,
    labelPadding: 3,
  },
  title: {
    color: ink.text,
    subtitleColor: ink.soft,
    fontSize: 11,
    subtitleFontSize: 11,
    anchor: 'start',
    subtitlePadding: 2,
    offset: 8,
  },
  legend: {
    labelColor: ink.text,
    labelFontSize: 10,
    title: null,
    orient: 'top',
    symbolSize: 200,
    symbolStrokeWidth: 2,
    columnPadding: 18,
  },
}
