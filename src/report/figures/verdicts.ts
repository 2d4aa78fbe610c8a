/** The verdicts as a coloured matrix: a row a technique with its axis values, a column an organism with its seed. */
import type { TopLevelSpec } from 'vega-lite'
import { gridOf, shortVerdict, techniqueText } from '../cells.ts'
import type { Cell, Results } from '../results.ts'
import { formatNumber } from '../words.ts'
import type { FigureSpec, Layer } from './figure.ts'
import { textWidth } from './font.ts'
import { figureConfig, ink, verdictStyle } from './palette.ts'

const ROW = 27
const GAP = 2
const FONT = 10.5

interface Tile {
  readonly x: number
  readonly y: number
  readonly text: string
  readonly fill: string
  readonly color: string
  readonly dash: boolean
}

interface Label {
  readonly x: number
  readonly y: number
  readonly text: string
}

/** Always drawn, also where no cell is done: it shows what failed. */
export function verdictFigure(results: Results): FigureSpec {
  const { alpha } = results.thresholds
  const starred = results.cells.some((cell) => shortVerdict(cell).endsWith('*'))
  return {
    name: 'verdicts',
    title: 'Verdicts',
    caption: `One tile is one cell at its last checkpoint, judged by one-sided bounds at α = ${formatNumber(alpha)}.${starred ? ' A star: the table says what was left open.' : ''}`,
    spec: matrixSpec(results),
  }
}

function matrixSpec(results: Results): TopLevelSpec {
  const grid = gridOf(results)
  const rows = grid.techniques.flatMap((technique) => grid.axes.map((axes) => ({ technique, axes })))
  const columns = grid.organisms.flatMap((organism) => results.seeds.map((seed) => ({ organism, seed })))
  const several = results.seeds.length > 1
  const words = results.cells.map((cell) => textWidth(shortVerdict(cell), FONT, 'bold'))
  const column = Math.max(84, Math.ceil(Math.max(0, ...words)) + 20)
  const tiles = rows.flatMap(({ technique, axes }, y) =>
    columns.flatMap(({ organism, seed }, x) =>
      grid
        .at(organism, technique, axes)
        .filter((cell) => cell.seed === seed)
        .map((cell) => tile(cell, x * column, y * ROW)),
    ),
  )
  const rowLabels = rows.map(({ axes }, y) => ({ x: -10, y: (y + 0.5) * ROW, text: axes.text }))
  const techniqueLabels = grid.techniques.map((technique, i) => ({
    x: -18 - Math.max(0, ...grid.axes.map(({ text }) => textWidth(text, FONT))),
    y: (i * grid.axes.length + 0.5) * ROW,
    text: techniqueText(results, technique),
  }))
  const organismLabels = grid.organisms.map((text, i) => ({
    x: i * results.seeds.length * column,
    y: several ? -22 : -10,
    text,
  }))
  const seedLabels = columns.map(({ seed }, x) => ({ x: x * column, y: -8, text: `seed ${seed}` }))
  const spec = {
    config: figureConfig,
    width: columns.length * column,
    height: rows.length * ROW,
    layer: [
      ...tileLayers(tiles, column),
      textLayer(rowLabels, { align: 'right', color: ink.soft }),
      textLayer(techniqueLabels, { align: 'right', fontWeight: 'bold' }),
      textLayer(organismLabels, { align: 'left', fontWeight: 'bold', fontSize: 12 }),
      textLayer(several ? seedLabels : [], { align: 'left', color: ink.soft, fontSize: 9.5 }),
    ],
  }
  return spec as unknown as TopLevelSpec
}

function tile(cell: Cell, x: number, y: number): Tile {
  const { fill, text } = verdictStyle(cell)
  return { x, y, text: shortVerdict(cell), fill, color: text, dash: cell.status !== 'done' }
}

const pixel = (field: string): Layer => ({ field, type: 'quantitative', scale: null, axis: null })
const paint = (field: string): Layer => ({ field, type: 'nominal', scale: null, legend: null })

function tileLayers(tiles: readonly Tile[], column: number): Layer[] {
  const boxes = tiles.map((t) => ({ ...t, right: t.x + column - GAP, bottom: t.y + ROW - GAP }))
  const corners = { x: pixel('x'), x2: { field: 'right' }, y: pixel('y'), y2: { field: 'bottom' } }
  const absent = { type: 'rect', fill: '#ffffff', stroke: ink.line, strokeDash: [3, 2], cornerRadius: 3 }
  return [
    {
      data: { values: boxes.filter(({ dash }) => !dash) },
      mark: { type: 'rect', cornerRadius: 3 },
      encoding: { ...corners, fill: paint('fill') },
    },
    { data: { values: boxes.filter(({ dash }) => dash) }, mark: absent, encoding: corners },
    {
      data: { values: boxes.map((t) => ({ ...t, cx: (t.x + t.right) / 2, cy: (t.y + t.bottom) / 2 })) },
      mark: { type: 'text', baseline: 'middle', fontSize: FONT, fontWeight: 'bold' },
      encoding: { x: pixel('cx'), y: pixel('cy'), text: { field: 'text' }, fill: paint('color') },
    },
  ]
}

function textLayer(values: readonly Label[], style: Layer): Layer {
  return {
    data: { values },
    mark: { type: 'text', baseline: 'middle', fontSize: FONT, color: ink.text, ...style },
    encoding: { x: pixel('x'), y: pixel('y'), text: { field: 'text' } },
  }
}
