/**
 * Tokens a second of `serve-model` with as many clients at once as there are prompts, beside the sampler that is given the
 * same prompts in one call: `node bench/serve.ts [--size 5M --prompts 64 --new 64 --prompt-tokens 32]`.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { trainByteBpe, writeTokenizerFolder } from '../src/model/bpe.ts'
import { chatSpecials } from '../src/model/chat.ts'
import { openTokenizer } from '../src/model/tokenizer.ts'
import { modelOf, randomPrompts, writeRandomModel } from './models.ts'
import { benchOptions, closeAll, openSide, printMachine, printSides, takeTurns } from './sides.ts'

const options = benchOptions({ size: '5M', prompts: '64', new: '64', 'prompt-tokens': '32' })
const { threads, rounds } = options
const config = modelOf(options.size)
const prompts = randomPrompts(config, Number(options.prompts), Number(options['prompt-tokens']))
const dir = await mkdtemp(join(tmpdir(), 'bench-'))
try {
  printMachine(
    threads,
    `serve-model, ${options.size} parameters, ${options.prompts} clients with ${options['prompt-tokens']} tokens, ${options.new} new tokens each`,
  )
  const text = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const bpe = trainByteBpe([text], {
    vocabSize: Math.min(1024, config.vocabSize),
    specials: [...chatSpecials],
  })
  await writeTokenizerFolder(dir, bpe, { modelMaxLength: config.maxPositions })
  const folder = join(dir, 'model')
  await writeRandomModel(folder, config, dir)
  const setup = { folder, prompts, newTokens: Number(options.new), threads }
  const sides = [
    await openSide('serve-model', 'serve-side.ts', setup),
    await openSide('sampler', 'sample-side.ts', setup),
  ]
  const { decode } = await openTokenizer(folder)
  for (const stream of [false, true]) {
    const turns = await takeTurns(sides, rounds, { stream, temperature: 0 })
    console.log(stream ? 'in chunks' : 'whole')
    printSides(sides, turns, 'tokens/s')
    const [served, sampled] = turns.map(([turn]) => turn)
    const expected = ((sampled?.['tokens'] ?? []) as number[][]).map(decode)
    const said = (served?.['texts'] ?? []) as string[]
    const same = expected.filter((own, i) => own === said[i]).length
    console.log(`      same texts: ${same} of ${prompts.length}`)
    if (same < prompts.length) throw new Error('the server does not say what the sampler says')
  }
  await closeAll(sides)
} finally {
  await rm(dir, { recursive: true })
}
