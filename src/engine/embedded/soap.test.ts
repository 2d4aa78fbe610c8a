/** SOAP against plain float64, one step after another; its state is all that it remembers; the same bits with any threads. */
import { describe, expect, it } from 'vitest'
import { LabError } from '../../errors.ts'
import type { ParameterSpec } from '../../model/config.ts'
import { rng } from '../../rng.ts'
import { loadKernels } from './kernels.ts'
import { type Optimizer, optimizerElements } from './optimizer.ts'
import { openSoap, type SoapRecipe } from './soap.ts'
import { openBases, rotatedShape, type SoapLimits, workSize } from './soap-bases.ts'
import { soapElements, soapNotes, updateFlops } from './soap-cost.ts'
import {
  accumulate,
  type Matrix,
  multiply,
  type ReferenceState,
  referenceStep,
  transpose,
  zeros,
} from './soap-reference.ts'

const kernels = loadKernels()

function specsOf(shapes: Readonly<Record<string, readonly number[]>>): ParameterSpec[] {
  let offset = 0
  return Object.entries(shapes).map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1)
    const spec = { name, shape, offset, size }
    offset += size
    return spec
  })
}

const defaults = { max_precond_dim: 4096, one_sided_above: 512 } as const
const authors = { max_precond_dim: 10_000, one_sided_above: 10_000 } as const

/** Epsilon is large enough to be seen. */
const recipe: SoapRecipe = {
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-3,
  weight_decay: 0.1,
  precondition_frequency: 5,
  ...defaults,
}

const matrixOf = (flat: Float32Array, { shape, offset }: ParameterSpec): Matrix => {
  const [rows = 1, columns = 1] = shape.length === 1 ? [1, shape[0]] : shape
  return Array.from({ length: rows }, (_, i) =>
    Array.from(flat.subarray(offset + i * columns, offset + (i + 1) * columns)),
  )
}

/** Gradients of a mean and a scale of each element's own, so that the moments and the averages have something to find. */
function gradientsOf(specs: readonly ParameterSpec[], steps: number): Float32Array[] {
  const random = rng(5, 'gradients')
  const count = specs.reduce((n, { size }) => n + size, 0)
  const mean = Float32Array.from({ length: count }, () => 0.02 * random.normal())
  const scale = Float32Array.from({ length: count }, () => 0.05 * Math.exp(random.normal()))
  return Array.from({ length: steps }, () => mean.map((x, i) => x + (scale[i] as number) * random.normal()))
}

function weightsOf(specs: readonly ParameterSpec[]): Float32Array {
  const random = rng(6, 'weights')
  return Float32Array.from({ length: specs.reduce((n, { size }) => n + size, 0) }, () => random.normal())
}

const lrAt = (step: number): number => 0.01 / (1 + 0.1 * step)
const scaleAt = (step: number): number => (step % 3 === 0 ? 0.5 : 1)

const worst = (x: Matrix, wanted: (i: number, j: number) => number): number =>
  Math.max(...x.flatMap((row, i) => row.map((value, j) => Math.abs(value - wanted(i, j)))))

/** Columns that are the eigenvectors of `a`, largest eigenvalue first, to the precision of `a` in float32. */
function expectEigenbasis(q: Matrix, a: Matrix): void {
  expect(worst(multiply(transpose(q), q), (i, j) => Number(i === j))).toBeLessThan(1e-6)
  const diagonal = multiply(multiply(transpose(q), a), q)
  const eigenvalues = diagonal.map((row, i) => row[i] as number)
  const norm = Math.max(...eigenvalues)
  expect(worst(diagonal, (i, j) => (i === j ? (eigenvalues[i] as number) : 0))).toBeLessThan(1e-6 * norm)
  for (const [i, value] of eigenvalues.entries())
    expect(value).toBeLessThan((eigenvalues[i - 1] ?? Infinity) + 1e-6 * norm)
}

describe('beside float64, step by step', () => {
  const specs = specsOf({
    square: [12, 12],
    wide: [5, 9],
    tall: [9, 5],
    gain: [7],
    'left only': [4, 600],
    'right only': [600, 4],
    'last gain': [3],
  })

  for (const [frequency, limits] of [
    [1, defaults],
    [5, defaults],
    [10, defaults],
    // A wide and a tall matrix have one side within, others none; above 8 the shorter of two is rotated.
    [5, { max_precond_dim: 8, one_sided_above: 8 }],
    [5, { max_precond_dim: 12, one_sided_above: 8 }],
  ] as const satisfies readonly (readonly [number, SoapLimits])[]) {
    it(`agrees at every one of 32 steps, refreshed every ${frequency}, ${JSON.stringify(limits)}`, () => {
      const options = { ...recipe, frequency }
      const optimizer = openSoap(kernels, { ...recipe, ...limits, precondition_frequency: frequency }, specs)
      const weights = weightsOf(specs)
      const states = specs.map((spec): ReferenceState => {
        const w = matrixOf(weights, spec)
        const [rows, columns] = [w.length, (w[0] as readonly number[]).length]
        const { left, right } = rotatedShape(spec, limits)
        return {
          options,
          w,
          m: zeros(rows, columns),
          v: zeros(rows, columns),
          l: left ? zeros(rows, rows) : null,
          r: right ? zeros(columns, columns) : null,
          ql: null,
          qr: null,
        }
      })
      for (const [i, gradient] of gradientsOf(specs, 32).entries()) {
        const step = i + 1
        const gradScale = scaleAt(step)
        const before = weights.slice()
        optimizer.step({ weights, gradient, step, lr: lrAt(step), gradScale })
        if (step === 1) expect(weights).toEqual(before)
        for (const [p, spec] of specs.entries()) {
          const state = states[p] as ReferenceState
          const g = matrixOf(gradient, spec).map((row) => row.map((x) => x * gradScale))
          if (step === 1) {
            accumulate(state, g)
            // Eigenvectors of the averages' null spaces are anybody's choice: ours are checked, then taken over.
            const basis = (side: 0 | 1, size: number): Matrix =>
              transpose(
                matrixOf(optimizer.state[`soap.${spec.name}.Q${side}`] as Float32Array, {
                  ...spec,
                  shape: [size, size],
                  offset: 0,
                }),
              )
            if (state.l !== null) expectEigenbasis((state.ql = basis(0, state.l.length)), state.l)
            if (state.r !== null) expectEigenbasis((state.qr = basis(1, state.r.length)), state.r)
            continue
          }
          const decay = spec.shape.length > 1 ? recipe.weight_decay : 0
          referenceStep(state, g, { t: step - 1, lr: lrAt(step), decay })
          // An update has elements of about lr = 0.01; weights of about 3 are rounded by 2e-7 a step.
          const error = Math.max(
            ...matrixOf(weights, spec).flatMap((row, r) =>
              row.map((w, c) => Math.abs(w - (state.w[r]?.[c] as number))),
            ),
          )
          expect(error, `${spec.name}, step ${step}`).toBeLessThan(1e-5)
        }
      }
    })
  }
})

describe('state', () => {
  const specs = specsOf({ square: [20, 20], gain: [20], left: [6, 530], right: [530, 6], bias: [5] })
  const steps = 24
  const gradients = gradientsOf(specs, steps)
  const train = (optimizer: Optimizer, weights: Float32Array, from: number, to: number): void => {
    for (let step = from; step <= to; step++)
      optimizer.step({
        weights,
        gradient: gradients[step - 1] as Float32Array,
        step,
        lr: lrAt(step),
        gradScale: scaleAt(step),
      })
  }

  it('is named as the tensors of optimizer.safetensors', () => {
    expect(Object.keys(openSoap(kernels, recipe, specs).state)).toEqual([
      'exp_avg',
      'exp_avg_sq',
      'soap.square.GG0',
      'soap.square.Q0',
      'soap.square.GG1',
      'soap.square.Q1',
      'soap.left.GG0',
      'soap.left.Q0',
      'soap.right.GG1',
      'soap.right.Q1',
    ])
  })

  it('continues after any step with the same bits', () => {
    const whole = openSoap(kernels, recipe, specs)
    const weights = weightsOf(specs)
    train(whole, weights, 1, steps)
    for (let stop = 1; stop < steps; stop++) {
      const first = openSoap(kernels, recipe, specs)
      const own = weightsOf(specs)
      train(first, own, 1, stop)
      const second = openSoap(kernels, recipe, specs)
      for (const [name, values] of Object.entries(second.state)) values.set(first.state[name] as Float32Array)
      train(second, own, stop + 1, steps)
      expect(own).toEqual(weights)
      expect(second.state).toEqual(whole.state)
    }
  })

  it('has the same bits with any number of threads', () => {
    const large = specsOf({ both: [280, 300], right: [1500, 70], left: [90, 700], gain: [300] })
    const random = gradientsOf(large, 8)
    const run = (threads: number): { weights: Float32Array; state: Optimizer['state'] } => {
      kernels.setThreads(threads)
      const optimizer = openSoap(kernels, { ...recipe, precondition_frequency: 3 }, large)
      const weights = weightsOf(large)
      for (const [i, gradient] of random.entries())
        optimizer.step({ weights, gradient, step: i + 1, lr: 0.01, gradScale: 0.7 })
      kernels.setThreads(1)
      return { weights, state: optimizer.state }
    }
    const alone = run(1)
    expect(alone.weights.every(Number.isFinite)).toBe(true)
    for (const threads of [2, 3]) expect(run(threads)).toEqual(alone)
  })
})

const sides = (shape: readonly number[], limits: SoapLimits = defaults): string => {
  const { left, right } = rotatedShape({ shape }, limits)
  return `${left ? 'left' : ''}${right ? 'right' : ''}`
}

describe('which sides are rotated', () => {
  it('both of small matrices, the shorter of larger ones, none of vectors and of the largest', () => {
    expect(sides([512, 512])).toBe('leftright')
    expect(sides([3, 512])).toBe('leftright')
    expect(sides([704, 256])).toBe('right')
    expect(sides([256, 704])).toBe('left')
    expect(sides([513, 513])).toBe('right')
    expect(sides([128_256, 4096])).toBe('right')
    expect(sides([4097, 14_336])).toBe('')
    expect(sides([512])).toBe('')
  })

  it('as the recipe says: every side up to a limit, as the authors do it', () => {
    for (const one_sided_above of [10_000, 20_000]) {
      const limits = { max_precond_dim: 10_000, one_sided_above }
      expect(sides([10_000, 10_000], limits)).toBe('leftright')
      expect(sides([8192, 28_672], limits)).toBe('left')
      expect(sides([128_256, 8192], limits)).toBe('right')
      expect(sides([10_001, 10_001], limits)).toBe('')
    }
    expect(sides([300, 200], { max_precond_dim: 256, one_sided_above: 512 })).toBe('right')
  })

  it('is told where not all are rotated on both', () => {
    const specs = specsOf({ both: [300, 200], one: [700, 30], none: [5000, 5000], gain: [300] })
    expect(soapNotes(specs, defaults)).toEqual([
      'SOAP rotates 2 of 3 matrices, 1 of them on both sides: no side above max_precond_dim (4096), and where one is above one_sided_above (512) the longer is not either',
    ])
    expect(soapNotes(specs, { max_precond_dim: 4096, one_sided_above: 4096 })).toEqual([
      'SOAP rotates 2 of 3 matrices, 2 of them on both sides: no side above max_precond_dim (4096)',
    ])
    expect(soapNotes(specs, authors)).toEqual([])
  })

  it('decides on the flops of a step', () => {
    const spec = specsOf({ one: [6, 4] })[0] as ParameterSpec
    const refresh = [6, 4].map((d) => (14 / 3) * d ** 3 + 4 * 24 * d) as [number, number]
    expect(updateFlops(spec, recipe)).toBeCloseTo(6 * 24 * (6 + 4) + (refresh[0] + refresh[1]) / 5)
    const right = { ...recipe, max_precond_dim: 4 }
    expect(updateFlops(spec, right)).toBeCloseTo(6 * 24 * 4 + refresh[1] / 5)
  })

  it('is counted before anything is allocated', () => {
    const specs = specsOf({ both: [300, 200], right: [40_000, 30], left: [8, 600], gain: [300] })
    for (const limits of [defaults, { max_precond_dim: 250, one_sided_above: 1000 }]) {
      const { groups, rotated } = openBases(loadKernels(), specs, limits)
      const held = groups.reduce((n, { averages, vectors }) => n + averages.length + vectors.length, 0)
      expect(soapElements(specs, limits)).toBe(held + 2 * workSize(rotated))
    }
    const moments = 2 * (60_000 + 1_200_000 + 4800 + 300)
    expect(optimizerElements({ optimizer: 'adamw' }, specs)).toBe(moments)
    expect(optimizerElements({ ...recipe, optimizer: 'soap' }, specs)).toBe(
      moments + soapElements(specs, recipe),
    )
  })
})

const stepOn = (optimizer: Optimizer, at: number, gradient: Float32Array): void =>
  optimizer.step({ weights: new Float32Array(36), gradient, step: at, lr: 0.1, gradScale: 1 })

it('a gradient whose products overflow ends the training with an error', () => {
  const specs = specsOf({ square: [6, 6] })
  const huge = Float32Array.from({ length: 36 }, (_, i) => 1e30 * (i + 1))
  expect(() => stepOn(openSoap(kernels, recipe, specs), 1, huge)).toThrow(LabError)
  const optimizer = openSoap(kernels, { ...recipe, precondition_frequency: 1 }, specs)
  stepOn(
    optimizer,
    1,
    huge.map((x) => Math.sin(x)),
  )
  expect(() => stepOn(optimizer, 2, huge)).toThrow('step 2: the averages of the gradient')
})
