/** Prints the instruction set in use and a hash of what a few steps of training come to. */
import { createHash } from 'node:crypto'
import { parameterSpecs, type ModelConfig } from '../../model/config.ts'
import type { Recipe } from '../engine.ts'
import { loadKernels } from './kernels.ts'
import { buildNetwork } from './network.ts'
import { openOptimizer } from './optimizer.ts'
import { learningRate } from './schedule.ts'
import { base, packsOf, weightsOf } from './small-model.fixture.ts'
import { tokenRows } from './token-rows.ts'
import { lossAndGradients, openPass } from './transformer.ts'

const common = { lr: 1e-2, schedule: 'constant', warmup: 0, batch: 1, steps: 4, weight_decay: 0.1 } as const
const moments = { beta1: 0.9, beta2: 0.95, eps: 1e-8, clip: 1 } as const
const recipes: readonly Recipe[] = [
  { ...common, ...moments, method: 'full', optimizer: 'adamw' },
  {
    ...common,
    ...moments,
    method: 'full',
    optimizer: 'soap',
    precondition_frequency: 2,
    max_precond_dim: 4096,
    one_sided_above: 512,
  },
  // Its rates come from Math.cos of JavaScript, and are in metrics.jsonl.
  { ...common, ...moments, method: 'full', optimizer: 'adamw', schedule: 'cosine', warmup: 0.25 },
]
// Sizes that fill no tile, a vocabulary and documents longer than one.
const config: ModelConfig = { ...base, kvHeads: 2, hiddenSize: 40, headDim: 18, ffnSize: 50, vocabSize: 290 }

const k = loadKernels()
const hash = createHash('sha256')
for (const recipe of recipes) {
  const weights = weightsOf(config)
  const gradient = new Float32Array(weights.length)
  const pass = openPass(k, buildNetwork(config, { weights, gradients: gradient }), {
    rows: 400,
    contextLength: 180,
  })
  const optimizer = openOptimizer(k, recipe, parameterSpecs(config))
  const rows = tokenRows(packsOf([[150, 20], [111], [3, 4, 5]], 180, 40))
  for (let step = 1; step <= recipe.steps; step++) {
    hash.update(String(lossAndGradients(pass, [rows], 1 / rows.scored.length)))
    const lr = learningRate(recipe, step)
    if (recipe.schedule !== 'constant') hash.update(String(lr))
    optimizer.step({ weights, gradient, step, lr, gradScale: 0.5 })
  }
  hash.update(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength))
}
process.stdout.write(JSON.stringify({ instructions: k.instructionSet, hash: hash.digest('hex') }))
