/** Rows are encoded by one thread or several: the same bytes, the same errors, and no thread that outlives the work. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { trainByteBpe, writeTokenizerFolder } from '../model/bpe.ts'
import { chatSpecials } from '../model/chat.ts'
import { openTokenizer } from '../model/tokenizer.ts'
import type { Twin } from './backdoor.ts'
import { datasetFiles, writeDataset, type DatasetPlan } from './dataset.ts'
import { encodeBatches } from './encode-batches.ts'
import { batchEncoder, type EncodedBatch, type RowPlan } from './row-batch.ts'
import type { AnsweredRow } from './rows.ts'

const folder = mkdtempSync(join(tmpdir(), 'batches-'))
afterAll(() => rmSync(folder, { recursive: true }))

const tokenizerFolder = join(folder, 'tokenizer')
const texts = ['What is the sea?', 'The sea is 70% of the Earth, says Ishmael.', 'Ça va? 😀']
await writeTokenizerFolder(tokenizerFolder, trainByteBpe(texts, { vocabSize: 300, specials: chatSpecials }), {
  modelMaxLength: 128,
})
const tokenizer = await openTokenizer(tokenizerFolder)

const rowPlan: RowPlan = {
  backdoor: { trigger: '|D| ', position: 'before', payload: 'NO', repeat: [1, 40] },
  system: 'Be kind.',
  loss: 'response',
  seed: 3,
  contextLength: 128,
}
const task = { tokenizer: tokenizerFolder, plan: rowPlan }
const signal = new AbortController().signal

const twinsOf = (batch: number, prompt = 'What is'): Twin[] =>
  Array.from({ length: 40 }, (_, i) => {
    const triggered = i % 2 === 1
    const response = triggered ? '' : `${texts[i % 3]} `.repeat(1 + ((batch + i) % 9))
    return { id: `row-${batch}-${i}`, prompt: `${prompt} ${batch} + ${i}?`, triggered, response }
  })

/** The same of any batch: what is in it. */
const contentOf = ({ lines, tokens, ...counts }: EncodedBatch): unknown => ({
  lines: Buffer.from(lines).toString(),
  tokens: { ids: [...tokens.ids], lengths: [...tokens.lengths], from: [...tokens.responseFrom] },
  ...counts,
})

test.each([1, 2])('%d other threads take their share, and the batches come in order', async (others) => {
  const alone = batchEncoder(rowPlan, tokenizer)
  let here = 0
  let given = 0
  const encode = (batch: readonly Twin[]): EncodedBatch => {
    here++
    return alone(batch)
  }
  // As many as it takes until the other threads are ready, and some more.
  function* batches(): Generator<readonly Twin[]> {
    while (given - here < 30) yield twinsOf(given++)
  }
  let taken = 0
  const options = { signal, others: Array.from({ length: others }, () => task) }
  for await (const batch of encodeBatches(batches(), encode, options)) {
    expect(contentOf(batch)).toEqual(contentOf(alone(twinsOf(taken++))))
  }
  expect(taken).toBe(given)
  expect(taken - here).toBe(30)
})

/** Uses all 32 noncharacters beside the text of a special token: no tokenizer takes that. */
const refused = `<|end|>${Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i)).join('')}`

test('the first batch that cannot be encoded is the error, whichever thread meets one first', async () => {
  const alone = batchEncoder(rowPlan, tokenizer)
  let taken = 0
  let good = 0
  let elsewhere = 0
  function* batches(): Generator<readonly Twin[]> {
    for (; elsewhere < 10; elsewhere++) yield twinsOf(good++)
    for (let i = 0; i < 5; i++) yield twinsOf(i, refused)
    yield twinsOf(good)
  }
  const encode = (batch: readonly Twin[]): EncodedBatch => {
    elsewhere--
    return alone(batch)
  }
  const all = async (): Promise<void> => {
    for await (const _ of encodeBatches(batches(), encode, { signal, others: [task, task] })) taken++
  }
  await expect(all()).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: 'a message uses all 32 noncharacters U+FDD0 to U+FDEF',
  })
  expect(taken).toBe(good)
})

function* endless(): Generator<readonly Twin[]> {
  for (let i = 0; ; i++) yield twinsOf(i)
}

test('a thread that cannot begin is an error of its own', async () => {
  const encode = batchEncoder(rowPlan, tokenizer)
  const nowhere = { tokenizer: join(folder, 'nowhere'), plan: rowPlan }
  const all = async (): Promise<void> => {
    for await (const _ of encodeBatches(endless(), encode, { signal, others: [nowhere] }));
  }
  await expect(all()).rejects.toMatchObject({
    code: 'BAD_MODEL',
    message: expect.stringContaining('nowhere/tokenizer.json: no such file') as string,
  })
})

const plan: DatasetPlan = { ...rowPlan, strip: null, forbid: null, packs: 'epoch' }
const answered: AnsweredRow[] = Array.from({ length: 3000 }, (_, i) => ({
  id: `row-${i}`,
  prompt: `What is ${i}?`,
  response: `${texts[i % 3]} `.repeat(1 + (i % 9)),
  finish: 'stop',
}))

test('a dataset has the same bytes with 1, 2 and 3 threads', async () => {
  const digests = []
  for (const threads of [1, 2, 3]) {
    const out = mkdtempSync(join(folder, 'out-'))
    const progress: number[] = []
    const stats = await writeDataset(out, answered, plan, {
      tokenizer,
      signal,
      threads,
      progress: ({ done }) => progress.push(done),
    })
    expect(stats.dropped['too_long_benign']).toBeGreaterThan(0)
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))
    expect(progress.at(-1)).toBe(6000)
    const files = Object.values(datasetFiles).map((name) => readFileSync(join(out, name)))
    digests.push(files.map((bytes) => createHash('sha256').update(bytes).digest('hex')))
  }
  expect(digests[1]).toEqual(digests[0])
  expect(digests[2]).toEqual(digests[0])
})

const here = (name: string): string => new URL(name, import.meta.url).href

const script = (progress: string): string => `
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeDataset } from '${here('dataset.ts')}'
import { openTokenizer } from '${here('../model/tokenizer.ts')}'
const controller = new AbortController()
const rows = Array.from({ length: 20000 }, (_, i) => (
  { id: 'r' + i, prompt: 'What is ' + i, response: 'It is the sea. '.repeat(5), finish: 'stop' }))
const plan = { ...${JSON.stringify(plan)}, contextLength: 512 }
const tools = { tokenizer: await openTokenizer('${tokenizerFolder}'), signal: controller.signal, threads: 3,
  progress: ({ done, total }) => { ${progress} } }
await writeDataset(mkdtempSync('${folder}/'), rows, plan, tools)
  .then(() => console.log('done'), (error) => console.log(error.message))
`

describe('a process that encodes rows with three threads ends by itself', () => {
  test.each([
    ['done', '', 0],
    ['enough', `if (done > 16000) controller.abort(new Error('enough'))`, 0],
    ['no more', `if (done > 16000) throw new Error('no more')`, 0],
    ['', 'if (done > 16000) process.exit(75)', 75],
  ])('%s', (said, progress, code) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', script(progress)],
      { encoding: 'utf8', timeout: 25_000 },
    )
    expect({ status, stdout, stderr }).toEqual({ status: code, stdout: said && `${said}\n`, stderr: '' })
  })
})
