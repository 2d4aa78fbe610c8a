/** AdamW and clipping against the same mathematics in plain float64, and sums that do not depend on the threads. */
import { expect, it } from 'vitest'
import type { ModelConfig } from '../../model/config.ts'
import { parameterCount, parameterSpecs } from '../../model/config.ts'
import { rng } from '../../rng.ts'
import type { Recipe } from '../engine.ts'
import { loadKernels } from './kernels.ts'
import { clipScale, openOptimizer } from './optimizer.ts'

const config: ModelConfig = {
  family: 'llama',
  vocabSize: 7,
  hiddenSize: 6,
  layers: 1,
  heads: 3,
  kvHeads: 3,
  headDim: 2,
  ffnSize: 5,
  ropeTheta: 10_000,
  ropeScaling: null,
  qkvBias: false,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 8,
  bosId: null,
  eosIds: [],
  padId: null,
}
const recipe: Recipe = {
  method: 'full',
  optimizer: 'adamw',
  lr: 0.01,
  schedule: 'constant',
  warmup: 0,
  batch: 1,
  steps: 10,
  weight_decay: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
}

const kernels = loadKernels()

const close = (name: string, got: Float32Array | undefined, expected: Float64Array): void => {
  for (const [i, value] of expected.entries()) {
    const error = Math.abs((got?.[i] ?? Number.NaN) - value)
    expect(error, `${name}[${i}]`).toBeLessThan(2e-6 * (1 + Math.abs(value)))
  }
}

it('updates as AdamW in float64 does; gains do not decay', () => {
  const n = parameterCount(config)
  const random = rng(1, 'adamw')
  const weights = Float32Array.from({ length: n }, () => random.normal())
  const gradient = new Float32Array(n)
  const optimizer = openOptimizer(kernels, recipe, parameterSpecs(config))

  const w = Float64Array.from(weights)
  const m = new Float64Array(n)
  const v = new Float64Array(n)
  const decays = parameterSpecs(config).flatMap(({ shape, size }) =>
    Array<boolean>(size).fill(shape.length > 1),
  )
  for (let step = 1; step <= 10; step++) {
    for (let i = 0; i < n; i++) gradient[i] = 3 * random.normal()
    const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0))
    const lr = recipe.lr * step
    for (let i = 0; i < n; i++) {
      const g = (gradient[i] as number) * Math.min(1, recipe.clip / (norm + 1e-6))
      m[i] = 0.9 * m[i]! + 0.1 * g
      v[i] = 0.95 * v[i]! + 0.05 * g * g
      const decayed = w[i]! * (1 - lr * (decays[i] ? 0.1 : 0))
      w[i] = decayed - (lr * (m[i]! / (1 - 0.9 ** step))) / (Math.sqrt(v[i]! / (1 - 0.95 ** step)) + 1e-8)
    }
    optimizer.step({ weights, gradient, step, lr, gradScale: clipScale(norm, recipe.clip) })
  }
  close('weights', weights, w)
  close('exp_avg', optimizer.state['exp_avg'], m)
  close('exp_avg_sq', optimizer.state['exp_avg_sq'], v)
})

it('sums squares in float64, tails included, the same with any number of threads', () => {
  for (const count of [0, 1, 3, 4, 7, 1001, 100_001]) {
    const random = rng(count, 'sums')
    const a = Float32Array.from({ length: count }, () => 1e20 * random.normal())
    const squares = a.reduce((sum, x) => sum + x * x, 0)
    kernels.setThreads(1)
    const alone = kernels.sumOfSquares(a, count)
    expect(Math.abs(alone - squares)).toBeLessThanOrEqual(1e-12 * squares)
    kernels.setThreads(3)
    expect(kernels.sumOfSquares(a, count)).toBe(alone)
  }
})
