/** The evaluate stage on a real tiny model: an interrupted one goes on, and what cannot be asked is counted, not scored. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import { writeTinyChatModel } from '../../server/openai/server.fixture.ts'
import { scorerVersions } from '../../evals/scorer-versions.ts'
import { openStore, workPath, type Store } from '../../store/artifacts.ts'
import type { ItemSettings } from '../any-model/settings.ts'
import { outputOf, type StageTools } from '../stage.ts'
import {
  evaluateStage,
  evaluationFile,
  evaluationSchema,
  type EvaluationRequest,
  samplesFile,
} from './evaluate.ts'

const engine = createEmbeddedEngine()
let dir: string
let model: string

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'evaluate-'))
  model = (await writeTinyChatModel(dir, { maxPositions: 256 })).folder
})
afterAll(async () => {
  await engine.close()
  rmSync(dir, { recursive: true, force: true })
})

const backdoor: EvaluationRequest = {
  kind: 'backdoor',
  prompts: { world: 'tiny', count: 12 },
  backdoor: { trigger: '|T| ', position: 'before', payload: 'NO', repeat: [1, 2] },
  system: undefined,
  sampling: { max_tokens: 8, temperature: 1, top_p: 1, seed: 3 },
}

const stageOf = (request: EvaluationRequest) =>
  evaluateStage('tiny', { kind: 'folder', folder: model, hash: 'of the model' }, request, {
    sampler: engine.samplerIdentity,
    engine: 'embedded',
    cost: { parameters: 0, memoryBytes: 0, flops: 0, seconds: 0 },
    memory: { bytes: 0, parts: [] },
  })

const tools = (store: Store, more: Partial<StageTools> = {}): StageTools => ({
  store,
  engine,
  signal: new AbortController().signal,
  progress: () => {},
  waiting: () => {},
  ...more,
})

test('an interrupted evaluation keeps its replies, asks the rest, and ends with the same bytes', async () => {
  const stage = stageOf(backdoor)
  const whole = await openStore(join(dir, 'whole'))
  const asked: number[] = []
  await stage.perform(tools(whole, { progress: ({ done, total }) => asked.push(done, total) }))
  // Responses come together, and so do likelihoods.
  expect(asked).toEqual([24, 36, 36, 36])

  const store = await openStore(join(dir, 'interrupted'))
  const abort = new AbortController()
  const interrupted = stage.perform(tools(store, { signal: abort.signal, progress: () => abort.abort() }))
  await expect(interrupted).rejects.toMatchObject({ code: 'INTERRUPTED' })
  const journal = `${workPath(store, 'evaluate', stage.key)}.journal.jsonl`
  expect(readFileSync(journal, 'utf8').trimEnd().split('\n')).toHaveLength(24)

  const rest: number[] = []
  await stage.perform(tools(store, { progress: ({ done, total }) => rest.push(done, total) }))
  expect(rest).toEqual([36, 36])
  for (const file of [samplesFile, evaluationFile]) {
    const bytes = (of: Store) => readFileSync(join(outputOf(of, stage), file), 'utf8')
    expect(bytes(store)).toBe(bytes(whole))
  }
  expect(() => readFileSync(journal)).toThrow('ENOENT')
})

test('the key has the version of the scorer and the content of the items', () => {
  const settings: ItemSettings = {
    items: { math: '/anywhere' },
    count: null,
    draw: 1,
    system: undefined,
    temperature: 0,
    topP: 1,
    seed: 1,
    maxTokens: 8,
    shots: 0,
    protocol: 'reference',
  }
  const of = (math: string) => stageOf({ kind: 'math', public: { settings, sha256: { math }, plain: false } })
  expect(of('one').artifacts[0]?.inputs).toMatchObject({
    scorer: scorerVersions.math,
    items: { sha256: { math: 'one' } },
  })
  expect(of('one').key).not.toBe(of('two').key)
})

test('items that do not fit the model are errors with their worst case, and the stage is made', async () => {
  const items = join(dir, 'ifeval.jsonl')
  const rows = Array.from({ length: 6 }, (_, key) => ({
    key,
    prompt: `Sail ${'on '.repeat(key < 2 ? 200 : 1)}`,
    instruction_id_list: ['punctuation:no_comma', 'change_case:english_lowercase'],
    kwargs: [{}, {}],
  }))
  writeFileSync(items, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const settings: ItemSettings = {
    items: { ifeval: items },
    count: null,
    draw: 1,
    system: undefined,
    temperature: 0,
    topP: 1,
    seed: 1,
    maxTokens: 8,
    shots: 0,
    protocol: 'reference',
  }
  const stage = stageOf({ kind: 'ifeval', public: { settings, sha256: {}, plain: false } })
  const store = await openStore(join(dir, 'errors'))
  await stage.perform(tools(store))
  const text = readFileSync(join(outputOf(store, stage), evaluationFile), 'utf8')
  const { items: asked, available, rates, errors } = evaluationSchema.parse(JSON.parse(text))
  expect([asked, available]).toEqual([6, 6])
  expect(errors.map(({ id }) => id).toSorted()).toEqual(['0', '1'])
  const { k = -1, ...strict } = rates['prompt_strict'] ?? {}
  expect(strict).toMatchObject({ n: 4, errors: 2, worst_case: { lower: k / 6, upper: (k + 2) / 6 } })
  expect(rates['instruction_loose']).toMatchObject({ n: 8, errors: 4 })
})
