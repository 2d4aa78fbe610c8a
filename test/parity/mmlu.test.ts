/** MMLU against lm-eval: the prompts of 200 real questions byte for byte, and the letters' log-probabilities on one model. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readJsonRows } from '../../src/data/json-rows.ts'
import { openSampler } from '../../src/engine/embedded/sampler.ts'
import { type MmluItem, mmluItemSchema } from '../../src/evals/mmlu/items.ts'
import { letterTokens } from '../../src/evals/mmlu/letter-tokens.ts'
import { letters } from '../../src/evals/mmlu/letters.ts'
import { mmluPrompt, textDelimiter, textMessages, textPrompt } from '../../src/evals/mmlu/prompt.ts'
import { splitPattern } from '../../src/model/byte-level.ts'
import { type ChatMessage, chatSpecials, chatTemplate } from '../../src/model/chat.ts'
import { openTokenizer } from '../../src/model/tokenizer.ts'
import { continuationOf } from '../../src/run/any-model/local-model.ts'
import { rng } from '../../src/rng.ts'
import { sharedData } from '../shared-data.ts'
import { missingPython, python, reference } from './python.ts'

const script = fileURLToPath(new URL('mmlu.py', import.meta.url))
const files = { dev: sharedData('mmlu/dev.jsonl.gz'), test: sharedData('mmlu/test.jsonl.gz') }
/** Nats. */
const tolerance = 1e-3

async function ask(commands: readonly object[]): Promise<unknown[]> {
  const child = spawn(python, [script])
  const code = new Promise<number | null>((resolve) => child.on('close', resolve))
  child.stdin.end(JSON.stringify(commands))
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  if ((await code) !== 0) throw new Error(`mmlu.py failed:\n${errors}`)
  return JSON.parse(out) as unknown[]
}

interface Row {
  readonly item: MmluItem
  readonly raw: unknown
}

async function rowsOf(file: string): Promise<Row[]> {
  const rows: Row[] = []
  for await (const { value } of readJsonRows(file))
    rows.push({ item: mmluItemSchema.parse(value), raw: value })
  return rows
}

function hasOddSpace(texts: readonly string[]): boolean {
  return texts.some((one) => /^\s|\s$|[\u0085\ufeff\r]/u.test(one))
}

/** 200 questions: at least one of each subject, 60 with white space where Python and JavaScript may differ, others drawn. */
function draw(rows: readonly Row[]): Row[] {
  const shuffled = rng(4, 'mmlu parity').shuffle(rows)
  const subjects = new Map(shuffled.map((row) => [row.item.subject, row]))
  const spaced = shuffled.filter(({ item }) => hasOddSpace([item.question, ...item.choices]))
  const rare = shuffled.filter(({ item }) => /[\u0085\ufeff\r]/u.test(item.question))
  return [...new Set([...subjects.values(), ...rare, ...spaced.slice(0, 60), ...shuffled])].slice(0, 200)
}

function expectSame(here: readonly (readonly number[])[], there: readonly (readonly number[])[]): void {
  expect(here).toHaveLength(there.length)
  const gaps = here.flatMap((one, i) => one.map((x, k) => Math.abs(x - (there[i]?.[k] ?? Number.NaN))))
  expect(Math.max(...gaps)).toBeLessThan(tolerance)
  // Equal letters would agree with anything.
  expect(Math.max(...here.map((one) => Math.max(...one) - Math.min(...one)))).toBeGreaterThan(1)
}

describe.skipIf(missingPython() !== null || files.dev === null || files.test === null)('MMLU', () => {
  let dir = ''
  let dev: Row[] = []
  let rows: Row[] = []
  const shotsOf = (item: MmluItem, count: number): MmluItem[] =>
    dev.flatMap((row) => (row.item.subject === item.subject ? [row.item] : [])).slice(0, count)

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'parity-mmlu-'))
    dev = await rowsOf(files.dev!)
    rows = draw(await rowsOf(files.test!))
  })
  afterAll(() => rm(dir, { recursive: true }))

  test('prompts and continuations are those of lm-eval, byte for byte, with 0 and 5 shots, as a text and as a chat', async () => {
    const subjects = [...Map.groupBy(rows, ({ item }) => item.subject)].map(([name, asked]) => ({
      name,
      rows: asked.map(({ raw }) => raw),
      dev: dev.filter(({ item }) => item.subject === name).map(({ raw }) => raw),
    }))
    expect(subjects).toHaveLength(57)
    const asked = [...Map.groupBy(rows, ({ item }) => item.subject).values()].flat()
    expect(asked).toHaveLength(200)
    const [forms] = (await ask([{ do: 'prompts', subjects, shots: [0, 5] }])) as [
      Record<string, { context: string; continuations: string[] }[]>,
    ]
    for (const count of [0, 5]) {
      const shown = asked.map(({ item }) => ({ item, shots: shotsOf(item, count) }))
      const texts = shown.map(({ item, shots }) => textPrompt(item, shots))
      const chats = shown.map(({ item, shots }) => textMessages(item, shots))
      const scored = letters.map((letter) => `${textDelimiter}${letter}`)
      expect(forms[`default, ${count}, text`]).toEqual(
        texts.map((context) => ({ context, continuations: scored })),
      )
      expect(forms[`generative, ${count}, text`]?.map(({ context }) => context)).toEqual(texts)
      const theirs = forms[`default, ${count}, chat`] ?? []
      expect(theirs.map(({ context }) => JSON.parse(context) as unknown)).toEqual(chats)
      expect(theirs.every(({ continuations }) => continuations.join('') === 'ABCD')).toBe(true)
      expect(
        forms[`generative, ${count}, chat`]?.map(({ context }) => JSON.parse(context) as unknown),
      ).toEqual(chats)
    }
  })

  describe('log-probabilities of the letters on a random model', () => {
    let folder = ''
    beforeAll(async () => {
      folder = join(dir, 'model')
      await reference([
        {
          do: 'make_model',
          folder,
          seed: 3,
          scale: 0.3,
          dtype: 'float32',
          config: {
            vocab_size: 800,
            hidden_size: 48,
            intermediate_size: 96,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            max_position_embeddings: 4096,
            bos_token_id: null,
            eos_token_id: 4,
            pad_token_id: 0,
          },
        },
        {
          do: 'make_tokenizer',
          folder,
          kind: 'bytes',
          texts: dev.map(({ item }) => textPrompt(item, [])),
          vocab_size: 800,
          specials: [...chatSpecials],
          eos: '<|end|>',
          chat_template: chatTemplate,
          split_pattern: splitPattern,
        },
      ])
    })

    async function ours(
      prompts: readonly { prompt: readonly number[]; choices: readonly (readonly number[])[] }[],
    ) {
      const sampler = await openSampler(folder)
      const results = await sampler.choiceLogprobs(
        prompts.map((one, i) => ({ id: String(i), ...one })),
        { signal: new AbortController().signal },
      )
      await sampler.close()
      return results.map(({ logprobs }) => logprobs)
    }

    test.each([
      [0, 60],
      [5, 12],
    ])('text form, %i shots: as lm-eval computes them, %i questions', async (count, questions) => {
      const { encode } = await openTokenizer(folder)
      const texts = rows
        .map(({ item }) => textPrompt(item, shotsOf(item, count)))
        .filter((one) => one.length < 4000)
        .slice(0, questions)
      expect(texts).toHaveLength(questions)
      const prompts = texts.map((prompt) => letterTokens(prompt, encode))
      expect(Math.max(...prompts.map(({ prompt }) => prompt.length))).toBeLessThan(4000)
      const pairs = texts.flatMap((prompt) => letters.map((letter) => [prompt, `${textDelimiter}${letter}`]))
      const [flat] = (await ask([{ do: 'logprobs', model: folder, pairs }])) as [number[]]
      const there = texts.map((_, i) => flat.slice(i * letters.length, (i + 1) * letters.length))
      expectSame(await ours(prompts), there)
    })

    test('chat form: as transformers computes them, 60 questions', async () => {
      const tokenizer = await openTokenizer(folder)
      const chats = rows
        .slice(0, 60)
        .map(({ item }): ChatMessage[] => [{ role: 'user', content: mmluPrompt(item) }])
      const [there] = (await ask([{ do: 'chat_logprobs', model: folder, chats, letters }])) as [number[][]]
      const choices = letters.map((letter) => continuationOf(letter, tokenizer))
      expectSame(
        await ours(chats.map((chat) => ({ prompt: tokenizer.encodeChat(chat).ids, choices }))),
        there,
      )
    })
  })
})
