/** What a step with SOAP costs beside one with AdamW, same model and packs: `npm run bench:optimizer [-- --size 5M]`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RecipeOptimizer } from '../src/engine/engine.ts'
import { modelOf, writeEmptyTokenizer, writeRandomPacks } from './models.ts'
import { benchOptions, closeAll, openSide, printMachine, printSides, takeTurns } from './sides.ts'
import type { TrainSetup } from './train-side.ts'

const CONTEXT = 256
const PACKS = 8
/** SOAP renews its bases at the first step and then every tenth: each turn counts whole periods. */
const PERIOD = 10

const options = benchOptions({ size: '5M', periods: '2' })
const config = modelOf(options.size)
const steps = PERIOD * (1 + Number(options.periods))

const dir = await mkdtemp(join(tmpdir(), 'bench-'))
try {
  printMachine(options.threads, `A step with SOAP beside one with AdamW, ${options.size} parameters`)
  await writeEmptyTokenizer(dir)
  const packs = join(dir, 'packs.bin')
  await writeRandomPacks(packs, { count: PACKS * steps, contextLength: CONTEXT, vocabSize: config.vocabSize })
  const setup = (optimizer: RecipeOptimizer): TrainSetup => ({
    start: { from: 'random', config, seed: 1 },
    packs,
    recipe: {
      method: 'full',
      ...optimizer,
      lr: 1e-3,
      schedule: 'constant',
      warmup: 0,
      batch: PACKS,
      steps,
      weight_decay: 0.01,
      beta1: 0.95,
      beta2: 0.95,
      eps: 1e-8,
      clip: 1,
    },
    warmup: PERIOD,
    threads: options.threads,
    workDir: join(dir, optimizer.optimizer),
    tokenizerDir: dir,
  })
  const sides = [
    await openSide('AdamW', 'train-side.ts', setup({ optimizer: 'adamw' })),
    await openSide(
      'SOAP',
      'train-side.ts',
      setup({
        optimizer: 'soap',
        precondition_frequency: PERIOD,
        max_precond_dim: 4096,
        one_sided_above: 512,
      }),
    ),
  ]
  const turns = await takeTurns(sides, options.rounds)
  await closeAll(sides)
  const [adamwLoss, soapLoss] = turns.map(([turn]) => turn?.['loss'])
  if (adamwLoss === soapLoss)
    throw new Error('both sides end with the same loss: the optimizers are the same')
  console.log("      ratio: time of a step with SOAP over AdamW's")
  printSides(sides, turns, 'tokens/s')
} finally {
  await rm(dir, { recursive: true })
}
