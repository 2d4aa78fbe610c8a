/** SOAP: our first updates are those of a plain Python reference in float64, and of the package pytorch-optimizer. */
import { beforeAll, describe, expect, test } from 'vitest'
import { loadKernels } from '../../src/engine/embedded/kernels.ts'
import { openSoap } from '../../src/engine/embedded/soap.ts'
import { BOTH_SIDES_LIMIT } from '../../src/engine/embedded/soap-bases.ts'
import { rng } from '../../src/rng.ts'
import { missingPython, reference, type ResultOf, type Values } from './python.ts'

/** Rotated on both sides, on the left, on the right, not at all. */
const shapes: readonly (readonly number[])[] = [
  [16, 16],
  [7, BOTH_SIDES_LIMIT + 1],
  [BOTH_SIDES_LIMIT + 20, 5],
  [16],
]
let count = 0
const specs = shapes.map((shape, i) => {
  const size = shape.reduce((a, b) => a * b, 1)
  count += size
  return { name: `p${i}`, shape, offset: count - size, size }
})
const steps = 24
const options = {
  lr: 3e-3,
  betas: [0.95, 0.95],
  eps: 1e-8,
  weight_decay: 0.01,
  limit: BOTH_SIDES_LIMIT,
} as const
const frequencies = [3, 10]

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

/** Weights after each step, by us. */
function trainHere(frequency: number): Float32Array[] {
  const { betas, eps, weight_decay, lr } = options
  const recipe = { beta1: betas[0], beta2: betas[1], eps, weight_decay, precondition_frequency: frequency }
  const optimizer = openSoap(loadKernels(), recipe, specs)
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
    const command = { do: 'soap', weights: nested(start), gradients: gradients.map(nested) } as const
    seen = await reference(
      frequencies.map((frequency) => ({ ...command, options: { ...options, frequency } })),
    )
  }, 240_000)

  test.each([
    { side: 'plain', frequency: 3 },
    { side: 'plain', frequency: 10 },
    { side: 'package', frequency: 3 },
    { side: 'package', frequency: 10 },
  ] as const)(
    '$side, refreshed every $frequency: the same weights after every step',
    ({ side, frequency }) => {
      const theirs = (seen[frequencies.indexOf(frequency)] as Seen)[side]
      expect(theirs).toHaveLength(steps)
      for (const [i, ours] of trainHere(frequency).entries()) {
        const expected = (theirs[i] as Values[]).flat(2)
        const worst = ours.reduce((most, w, j) => Math.max(most, Math.abs(w - (expected[j] as number))), 0)
        expect(expected).toHaveLength(count)
        // An element moves by about lr a step.
        expect(worst, `step ${i + 1}`).toBeLessThan(1e-3 * options.lr)
      }
      const moved = trainHere(frequency)
        .at(-1)
        ?.reduce((sum, w, j) => sum + Math.abs(w - (start[j] as number)), 0)
      expect((moved ?? 0) / count).toBeGreaterThan(options.lr)
    },
  )
})
