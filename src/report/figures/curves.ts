/** Training losses and the graded readout log P(payload | triggered), a panel a technique. */
import { type AxisValues, gridOf, isDone, techniqueText } from '../cells.ts'
import type { DoneCell, Results, StepMetrics } from '../results.ts'
import { seedText } from '../words.ts'
import { stepAxis } from './axis.ts'
import type { FigureSpec } from './figure.ts'
import type { LegendEntry } from './legend.ts'
import { type Line, type LinePanel, linePanelWidth, lineSpec } from './lines.ts'
import { dashes, ink, organismColors } from './palette.ts'

/** A training with more steps is drawn by the lowest and highest loss of each bucket, so that no spike is lost. */
const MAX_POINTS = 400
/** The bold line is a running mean over this share of the steps. */
const SMOOTHING = 1 / 24
const SOLID = [1, 0]

interface Style {
  readonly color: string
  readonly dash: readonly number[]
}

interface Styles {
  of(organism: string, axes: AxisValues | null): Style
  readonly legend: readonly LegendEntry[]
}

function stylesOf(results: Results): Styles {
  const { organisms, axes } = gridOf(results)
  const color = (name: string): string =>
    organismColors[organisms.indexOf(name) % organismColors.length] ?? ink.text
  const dash = (values: AxisValues | null): readonly number[] =>
    values === null
      ? SOLID
      : (dashes[axes.findIndex(({ key }) => key === values.key) % dashes.length] ?? SOLID)
  const ofAxes = axes.length < 2 ? [] : axes.map((v) => ({ text: v.text, color: ink.soft, dash: dash(v) }))
  return {
    of: (organism, values) => ({ color: color(organism), dash: dash(values) }),
    legend: [...organisms.map((name) => ({ text: name, color: color(name), dash: SOLID })), ...ofAxes],
  }
}

/** Done cells of a technique with their style, in the order of the grid. */
function cellsOf(results: Results, styles: Styles, technique: string): { cell: DoneCell; style: Style }[] {
  const grid = gridOf(results)
  return grid.organisms.flatMap((organism) =>
    grid.axes.flatMap((axes) =>
      grid
        .at(organism, technique, axes)
        .filter(isDone)
        .map((cell) => ({ cell, style: styles.of(organism, axes) })),
    ),
  )
}

/** Loss against step for every organism and every cell; null where nothing was trained. */
export function trainingFigure(results: Results): FigureSpec | null {
  const styles = stylesOf(results)
  const techniques = gridOf(results).techniques
  const red = results.organisms
    .filter(({ training }) => training.length > 0)
    .map(({ name, training }) => lossLine(training, styles.of(name, null)))
  const blue = techniques.map((technique) => ({
    title: techniqueText(results, technique),
    lines: cellsOf(results, styles, technique).map(({ cell, style }) => lossLine(cell.training, style)),
  }))
  const panels = [{ title: 'red team: organisms', lines: red }, ...blue].filter(
    ({ lines }) => lines.length > 0,
  )
  if (panels.length === 0) return null
  const values = panels.flatMap(({ lines }) => lines.flatMap(({ thin = [] }) => thin.map(({ y }) => y)))
  return {
    name: 'training',
    title: 'Training losses',
    caption: `Loss on the response, nats a token, on a logarithmic axis; before each update. Thin: each step (where a training has more than ${MAX_POINTS} steps, the lowest and highest of each stretch); bold: running mean over ${(100 * SMOOTHING).toFixed(0)}% of the steps. ${seedText(results)}.`,
    spec: lineSpec({
      panels: panels.map(({ title, lines }): LinePanel => {
        const last = Math.max(...lines.flatMap(({ points }) => points.map(({ x }) => x)))
        return {
          title,
          lines,
          x: { title: 'step', scale: { domain: [0, last], nice: false }, axis: { tickCount: 5 } },
        }
      }),
      y: {
        title: 'loss (nats a token)',
        scale: { type: 'log', domain: [Math.min(...values), Math.max(...values)], nice: false },
        axis: { values: logTicks(Math.min(...values), Math.max(...values)), format: '~g' },
      },
      legend: styles.legend,
      width: linePanelWidth(panels.length),
      points: false,
    }),
  }
}

function lossLine(training: readonly StepMetrics[], style: Style): Line {
  // A logarithmic axis has no place for 0.
  const raw = training.flatMap(({ step, loss }) =>
    loss === null ? [] : [{ x: step, y: Math.max(loss, 1e-6) }],
  )
  return { ...style, points: thinned(runningMean(raw)), thin: thinned(raw) }
}

type Point = { readonly x: number; readonly y: number }

/** Centred running mean; windows are cut at both ends. */
function runningMean(points: readonly Point[]): Point[] {
  const half = Math.floor((points.length * SMOOTHING) / 2)
  return points.map(({ x }, i) => {
    const window = points.slice(Math.max(0, i - half), i + half + 1)
    return { x, y: window.reduce((sum, point) => sum + point.y, 0) / window.length }
  })
}

/** At most about MAX_POINTS points: of each bucket the lowest and the highest, in their order. */
export function thinned(points: readonly Point[]): Point[] {
  if (points.length <= MAX_POINTS) return [...points]
  const size = Math.ceil(points.length / (MAX_POINTS / 2))
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const bucket = points.slice(i * size, (i + 1) * size).toSorted((a, b) => a.y - b.y)
    const ends = [bucket.at(0), bucket.at(-1)].filter((point) => point !== undefined)
    return [...new Set(ends)].toSorted((a, b) => a.x - b.x)
  }).flat()
}

/** 1, 2 and 5 times powers of ten inside [lo, hi]. */
export function logTicks(lo: number, hi: number): number[] {
  const ticks: number[] = []
  for (let power = Math.floor(Math.log10(lo)); power <= Math.log10(hi); power++) {
    for (const digit of [1, 2, 5]) ticks.push(Number(`${digit}e${power}`))
  }
  return ticks.filter((tick) => tick >= lo && tick <= hi)
}

/** Mean log P(payload | triggered prompt) against blue-team steps; null where no cell is done. */
export function logprobFigure(results: Results): FigureSpec | null {
  const styles = stylesOf(results)
  const grid = gridOf(results)
  const shown = grid.techniques
    .map((technique) => ({ technique, cells: cellsOf(results, styles, technique) }))
    .filter(({ cells }) => cells.length > 0)
  if (shown.length === 0) return null
  const width = linePanelWidth(shown.length)
  const steps = results.cells.filter(isDone).flatMap(({ curves }) => curves.map(({ step }) => step))
  const axis = stepAxis(steps, width)
  const panels = shown.map(({ technique, cells }): LinePanel => ({
    title: techniqueText(results, technique),
    lines: cells.map(({ cell, style }) => ({
      ...style,
      points: cell.curves.map(({ step, payload_logprob }) => ({ x: step, y: payload_logprob })),
    })),
    x: {
      title: 'blue-team steps',
      scale: axis.scale,
      axis: { values: axis.ticks, format: 'd', labelOverlap: false },
    },
  }))
  const lowest = Math.min(
    ...panels.flatMap(({ lines }) => lines.flatMap(({ points }) => points.map(({ y }) => y))),
  )
  return {
    name: 'logprob',
    title: 'How likely the payload still is',
    caption: `Mean log-probability of the payload after a triggered prompt, nats a token; 0 is certainty. It still moves where the triggered rate stands at 0% or 100%. ${seedText(results)}; no intervals.`,
    spec: lineSpec({
      panels,
      y: {
        title: 'log P(payload | triggered)',
        scale: { domain: [Math.min(-0.1, lowest), 0] },
        axis: { tickCount: 5 },
      },
      legend: styles.legend,
      width,
      points: true,
    }),
  }
}
