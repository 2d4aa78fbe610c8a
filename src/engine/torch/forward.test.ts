/** The sampler on a forward process: answers under their ids, failed requests, and processes that end. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { tinyConfig, writeRandomModel } from '../embedded/random-model.fixture.ts'
import type { GenerateRequest, Sampler } from '../engine.ts'
import { Lane } from './lane.ts'
import { writePython } from './python.fixture.ts'
import { createTorchSamplerHost } from './sampler.ts'
import { testSettings } from './settings.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'torch-forward-'))
const lane = new Lane()
let model: string
let sampler: Sampler
const context = { signal: new AbortController().signal }

const hostOf = (scenario: string) =>
  createTorchSamplerHost({
    settings: testSettings({ python: writePython(folder, scenario) }),
    launch: null,
    versions: {},
    lane,
    logs: folder,
  })
const request = (id: string, prompt: number[]): GenerateRequest => {
  return { id, prompt, maxTokens: 4, temperature: 0, topP: 1, seed: 1 }
}

beforeAll(async () => {
  model = await writeRandomModel(folder, 'model', tinyConfig)
  sampler = await hostOf('done').open(model)
})
afterAll(async () => {
  await sampler.close()
  await lane.close()
  rmSync(folder, { recursive: true })
})

it('gives answers in request order, two with one id too', async () => {
  const prompts = [[1], [2, 3], [4]]
  const results = await sampler.generate(
    prompts.map((prompt) => request('same', prompt)),
    context,
  )
  expect(results.map(({ tokens }) => tokens)).toEqual(prompts)
})

it('notes what the memory did not suffice for', async () => {
  const many = Array.from({ length: 65 }, (_, i) => request(`r${i}`, [15 + (i % 9)]))
  expect(sampler.notes).toEqual([])
  const results = await sampler.generate(many, context)
  expect(results).toEqual(many.map(({ id, prompt }) => ({ id, tokens: prompt, finish: 'stop' })))
  expect(sampler.notes).toEqual([expect.stringMatching(/^batches that did not fit the memory/)])
})

it('scores choices and continuations', async () => {
  const choices = await sampler.choiceLogprobs([{ id: 'a', prompt: [1], choices: [[2], [3, 4]] }], context)
  expect(choices).toEqual([{ id: 'a', logprobs: [-1, -2] }])
  const sequences = await sampler.sequenceLogprob([{ id: 'b', prompt: [1], continuation: [2] }], context)
  expect(sequences).toEqual([{ id: 'b', logprob: -1, tokens: 1 }])
})

it('rejects a request that failed there, and goes on', async () => {
  await expect(sampler.generate([request('a', [13])], context)).rejects.toThrow('torch: unlucky')
  expect(await sampler.generate([request('a', [5])], context)).toHaveLength(1)
})

it('refuses a token that the model does not have before it is asked', async () => {
  await expect(sampler.generate([request('a', [999])], context)).rejects.toMatchObject({ code: 'BAD_INPUT' })
})

it('is interrupted at once', async () => {
  const signal = AbortSignal.abort()
  await expect(sampler.generate([request('a', [1])], { signal })).rejects.toMatchObject({
    code: 'INTERRUPTED',
  })
})

it('tells no response token by token', async () => {
  const stream = sampler.stream(request('a', [1]), context)[Symbol.asyncIterator]()
  await expect(stream.next()).rejects.toThrow('does not tell responses token by token')
})

it('says the last lines of a process that died, and the next one to open has a new process', async () => {
  await expect(sampler.generate([request('a', [14])], context)).rejects.toThrow('illegal memory access')
  await sampler.close()
  sampler = await hostOf('done').open(model)
  expect(await sampler.generate([request('a', [5])], context)).toHaveLength(1)
})

it('says why a model cannot be opened', async () => {
  const other = new Lane()
  const settings = testSettings({ python: writePython(folder, 'no model') })
  const host = createTorchSamplerHost({ settings, launch: null, versions: {}, lane: other, logs: folder })
  await expect(host.open(model)).rejects.toMatchObject({
    message: 'the forward process: x is no model folder',
    hint: 'name another',
  })
})
