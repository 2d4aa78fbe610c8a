/** AdamW, clipping and the split among workers against the same mathematics in plain float64. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { LlamaConfig } from '../../model/config.ts'
import { parameterCount, parameterSpecs } from '../../model/config.ts'
import { rng } from '../../rng.ts'
import type { Recipe } from '../engine.ts'
import { compileKernels } from './kernels/build.ts'
import { createSharedMemory, loadKernels } from './kernels/kernels.ts'
import { adamwUpdate, clipScale, decayRuns, sliceOf } from './optimizer.ts'

const config: LlamaConfig = {
  vocabSize: 7,
  hiddenSize: 6,
  layers: 1,
  heads: 3,
  kvHeads: 3,
  headDim: 2,
  ffnSize: 5,
  ropeTheta: 10_000,
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
  accumulate: 1,
  steps: 10,
  weight_decay: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
}

it('the compiled kernels are those of the source', async () => {
  const committed = readFileSync(new URL('kernels/kernels.wasm', import.meta.url))
  expect(Buffer.from(await compileKernels()).equals(committed)).toBe(true)
})

it('updates as AdamW in float64 does, whatever the split', async () => {
  const n = parameterCount(config)
  const random = rng(1, 'adamw')
  const bytes = Math.ceil((n * 4) / 64) * 64
  const memory = createSharedMemory(65_536 + 4 * bytes)
  const kernels = await loadKernels(memory)
  const at = (i: number): number => 65_536 + i * bytes
  const vectors = { weightsAt: at(0), mAt: at(1), vAt: at(2), gradientAt: at(3) }
  const weights = new Float32Array(memory.buffer, vectors.weightsAt, n).map(() => random.normal())
  new Float32Array(memory.buffer, vectors.weightsAt, n).set(weights)
  const gradient = new Float32Array(memory.buffer, vectors.gradientAt, n)

  const w = Float64Array.from(weights)
  const m = new Float64Array(n)
  const v = new Float64Array(n)
  const decays = parameterSpecs(config).flatMap(({ shape, size }) =>
    Array<boolean>(size).fill(shape.length > 1),
  )
  for (let step = 1; step <= 10; step++) {
    for (let i = 0; i < n; i++) gradient[i] = 3 * random.normal()
    const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0))
    const gradScale = clipScale(norm, recipe.clip)
    const lr = recipe.lr * step
    for (let i = 0; i < n; i++) {
      const g = (gradient[i] as number) * Math.min(1, recipe.clip / (norm + 1e-6))
      m[i] = 0.9 * m[i]! + 0.1 * g
      v[i] = 0.95 * v[i]! + 0.05 * g * g
      const decayed = w[i]! * (1 - lr * (decays[i] ? 0.1 : 0))
      w[i] = decayed - (lr * (m[i]! / (1 - 0.9 ** step))) / (Math.sqrt(v[i]! / (1 - 0.95 ** step)) + 1e-8)
    }
    for (let worker = 0; worker < 3; worker++) {
      adamwUpdate(kernels, vectors, decayRuns(config, sliceOf(n, worker, 3)), { recipe, step, lr, gradScale })
    }
  }
  const close = (name: string, offset: number, expected: Float64Array): void => {
    const got = new Float32Array(memory.buffer, offset, n)
    for (const [i, value] of expected.entries()) {
      expect(Math.abs((got[i] as number) - value), `${name}[${i}]`).toBeLessThan(2e-6 * (1 + Math.abs(value)))
    }
  }
  close('weights', vectors.weightsAt, w)
  close('m', vectors.mAt, m)
  close('v', vectors.vAt, v)
})

it('sums squares in float64 and adds vectors, tails included', async () => {
  const memory = createSharedMemory(3 * 65_536)
  const kernels = await loadKernels(memory)
  for (const count of [0, 1, 3, 4, 7, 1001]) {
    const random = rng(count, 'sums')
    const a = new Float32Array(memory.buffer, 65_536, count).map(() => 1e20 * random.normal())
    const b = a.map(() => 1e20 * random.normal())
    new Float32Array(memory.buffer, 65_536, count).set(a)
    new Float32Array(memory.buffer, 131_072, count).set(b)
    const squares = a.reduce((sum, x) => sum + x * x, 0)
    expect(Math.abs(kernels.sumOfSquares(65_536, count) - squares)).toBeLessThanOrEqual(1e-12 * squares)
    kernels.addTo(65_536, 131_072, count)
    expect(new Float32Array(memory.buffer, 65_536, count)).toEqual(
      new Float32Array(a.map((x, i) => x + (b[i] as number))),
    )
  }
})

it('slices cover every parameter once, and runs keep gains from decaying (property)', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), (workers) => {
      const slices = Array.from({ length: workers }, (_, w) => sliceOf(parameterCount(config), w, workers))
      const runs = slices.flatMap((slice) => decayRuns(config, slice))
      expect(runs[0]?.from).toBe(0)
      expect(runs.at(-1)?.to).toBe(parameterCount(config))
      for (const [i, run] of runs.entries()) if (i > 0) expect(run.from).toBe(runs[i - 1]?.to)
      const kept = runs.filter((run) => !run.decays).reduce((sum, { from, to }) => sum + to - from, 0)
      expect(kept).toBe(3 * config.hiddenSize)
    }),
  )
})
