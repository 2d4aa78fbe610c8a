/** The horizontal axis of blue-team steps: readable at 0, 4, 8 … 128, and its ticks are the evaluated checkpoints. */

export interface StepAxis {
  /** A Vega-Lite scale. */
  readonly scale: Readonly<Record<string, unknown>>
  /** Steps that are written under the axis. */
  readonly ticks: readonly number[]
  /** The step that lies `pixels` to the right of `step`. */
  nudge(step: number, pixels: number): number
}

/** Past this ratio of the last to the first step after 0, equal distances would hide the early checkpoints. */
const LOG_RATIO = 16
/** Widths of axis labels: a digit and the gap between two labels, pixels. */
const DIGIT = 5.8
const GAP = 5

/** Symmetric log around the first step after 0, log(1 + step / first), or linear where steps are evenly spaced. */
export function stepAxis(steps: readonly number[], width: number): StepAxis {
  const sorted = [...new Set(steps)].sort((a, b) => a - b)
  const first = sorted.find((step) => step > 0) ?? 1
  const last = Math.max(sorted.at(-1) ?? 1, first)
  const log = last / first >= LOG_RATIO
  const place = (step: number): number => (log ? Math.sign(step) * Math.log1p(Math.abs(step) / first) : step)
  const unplace = (x: number): number => (log ? Math.sign(x) * first * Math.expm1(Math.abs(x)) : x)
  const pixelsAUnit = width / place(last)
  return {
    scale: {
      ...(log ? { type: 'symlog', constant: first } : { type: 'linear' }),
      domain: [0, last],
      nice: false,
      zero: false,
    },
    ticks: uncrowded(sorted, (step) => place(step) * pixelsAUnit),
    nudge: (step, pixels) => unplace(place(step) + pixels / pixelsAUnit),
  }
}

/** Half the width of a label, pixels. */
const half = (step: number): number => (String(step).length * DIGIT) / 2

/** The last label, and from the left those that have room. */
function uncrowded(steps: readonly number[], pixel: (step: number) => number): number[] {
  const apart = (a: number, b: number): boolean => pixel(a) + half(a) + GAP <= pixel(b) - half(b)
  const last = steps.at(-1)
  const kept: number[] = []
  for (const step of steps) {
    const before = kept.at(-1)
    if (before !== undefined && !apart(before, step)) continue
    if (last !== undefined && step !== last && !apart(step, last)) continue
    kept.push(step)
  }
  return kept
}

/** Moves labels apart so that neighbours are at least `gap` away from each other, keeping their order and staying in [lo, hi]. */
export function spread(values: readonly number[], gap: number, lo: number, hi: number): number[] {
  const order = values.map((_, i) => i).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0))
  const placed: number[] = Array.from({ length: values.length }, () => lo)
  let floor = lo
  for (const i of order) {
    placed[i] = Math.max(values[i] ?? lo, floor)
    floor = (placed[i] ?? lo) + gap
  }
  let ceiling = hi
  for (const i of order.toReversed()) {
    placed[i] = Math.min(placed[i] ?? hi, ceiling)
    ceiling = (placed[i] ?? hi) - gap
  }
  return placed
}
