/** SOAP: our first updates are those of a plain Python reference in float64, and of the package pytorch-optimizer. */
import { beforeAll, describe, expect, test } from 'vitest'
import { loadKernels } from '../../src/engine/embedded/kernels.ts'
import { openSoap } from '../../src/engine/embedded/soap.ts'
import { rng } from '../../src/rng.ts'
import { missingPython, reference, type ResultOf, type Values } from './python.ts'

interface Setup {
  readonly shapes: readonly (readonly number[])[]
  /** As the recipe has it, with what the references are told: for these shapes the same sides. */
  readonly limits: { readonly max_precond_dim: number; readonly one_sided_above: number }
  readonly limit: number
  readonly steps: number
  readonly frequency: number
  /** Root mean square of the differences that is let pass, as a share of the learning rate. */
  readonly close: number
}

// Rotated on both sides, on the left, on the right, not at all.
const common = {
  shapes: [[16, 16], [7, 513], [532, 5], [16]],
  limits: { max_precond_dim: 4096, one_sided_above: 512 },
  limit: 512,
  steps: 24,
  close: 1e-4,
} as const
const setups: Readonly<Record<string, Setup>> = {
  'refreshed every 3': { ...common, frequency: 3 },
  'refreshed every 10': { ...common, frequency: 10 },
  // On both sides; of a wide and a tall matrix on the side that is within; not at all.
  "the authors' limits": {
    shapes: [[36, 36], [9, 48], [48, 9], [41, 41], [16]],
    limits: { max_precond_dim: 40, one_sided_above: 40 },
    limit: 40,
    steps: 24,
    frequency: 3,
    close: 1e-3,
  },
  'both sides above 512': {
    shapes: [[516, 516]],
    limits: { max_precond_dim: 10_000, one_sided_above: 10_000 },
    limit: 10_000,
    steps: 5,
    frequency: 3,
    // The least eigenvalues of so large an average are as close to each other as float32 tells them apart: rounding turns their axes.
    close: 0.05,
  },
}
const options = { lr: 3e-3, betas: [0.95, 0.95], eps: 1e-8, weight_decay: 0.01 } as const

function givenFor({ shapes, steps }: Setup) {
  let count = 0
  const specs = shapes.map((shape, i) => {
    const size = shape.reduce((a, b) => a * b, 1)
    count += size
    return { name: `p${i}`, shape, offset: count - size, size }
  })
  const random = rng(3, 'soap parity')
  const start = Float32Array.from({ length: count }, () => 0.1 * random.normal())
  const gradients = Array.from({ length: steps }, () =>
    Float32Array.from({ length: count }, (_, i) => (0.3 * Math.sin(i) + random.normal()) / (1 + (i % 7))),
  )
  const nested = (flat: Float32Array): Values[] =>
    specs.map(({ shape: [rows = 0, columns], offset, size }) =>
      columns === undefined
        ? [...flat.subarray(offset, offset + size)]
        : Array.from({ length: rows }, (_, r) => [
            ...flat.subarray(offset + r * columns, offset + (r + 1) * columns),
          ]),
    )
  return { specs, start, gradients, nested }
}

/** Weights after each step, by us. */
function trainHere({ frequency, limits }: Setup, { specs, start, gradients }: ReturnType<typeof givenFor>) {
  const { betas, eps, weight_decay, lr } = options
  const recipe = { beta1: betas[0], beta2: betas[1], eps, weight_decay, ...limits }
  const optimizer = openSoap(loadKernels(), { ...recipe, precondition_frequency: frequency }, specs)
  const weights = start.slice()
  return gradients.map((gradient, i) => {
    optimizer.step({ weights, gradient, step: i + 1, lr, gradScale: 1 })
    return weights.slice()
  })
}

type Seen = ResultOf<{ do: 'soap' }>

describe.skipIf(missingPython() !== null)('SOAP', () => {
  let seen: readonly Seen[] = []
  beforeAll(async () => {
    seen = await reference(
      Object.values(setups).map((setup) => {
        const { start, gradients, nested } = givenFor(setup)
        const { frequency, limit } = setup
        const given = { weights: nested(start), gradients: gradients.map(nested) }
        return { do: 'soap' as const, ...given, options: { ...options, frequency, limit } }
      }),
    )
  }, 240_000)

  test.each(
    Object.keys(setups).flatMap((name) => (['plain', 'package'] as const).map((side) => ({ name, side }))),
  )('$name, $side: the same weights after every step', ({ name, side }) => {
    const setup = setups[name] as Setup
    const given = givenFor(setup)
    const theirs = (seen[Object.keys(setups).indexOf(name)] as Seen)[side]
    const ours = trainHere(setup, given)
    expect(theirs).toHaveLength(setup.steps)
    for (const [i, weights] of ours.entries()) {
      const expected = (theirs[i] as Values[]).flat(2)
      const squares = weights.reduce((sum, w, j) => sum + (w - (expected[j] as number)) ** 2, 0)
      expect(expected).toHaveLength(given.start.length)
      // An element moves by about lr a step.
      const apart = Math.sqrt(squares / weights.length)
      expect(apart, `step ${i + 1}`).toBeLessThan(setup.close * options.lr)
    }
    const moved = ours.at(-1)?.reduce((sum, w, j) => sum + Math.abs(w - (given.start[j] as number)), 0) ?? 0
    expect(moved / given.start.length).toBeGreaterThan(options.lr)
  })
})
