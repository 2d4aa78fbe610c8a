/** Streams in their real thread: the tokens that `generate` gives, whoever joins and leaves, and the log-probabilities of each. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LabError } from '../../errors.ts'
import type { Draw, Sampler, StreamRequest } from '../engine.ts'
import { createCores } from './cores.ts'
import { randomPrompts, tinyConfig, writeRandomModel } from './random-model.fixture.ts'
import { createSamplerHost, type SamplerHost } from './sampler.ts'
import { largest } from './token-logprobs.ts'

const context = { signal: new AbortController().signal }
/** Positions above those that a stream begins with, and two tokens that end a turn. */
const config = { ...tinyConfig, maxPositions: 2048, eosIds: [5, 9] }
let dir = ''
let host: SamplerHost
let sampler: Sampler

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'stream-'))
  host = createSamplerHost(createCores(2))
  sampler = await host.open(await writeRandomModel(dir, 'model', config))
})
afterAll(async () => {
  await host.close()
  await rm(dir, { recursive: true })
})

const requests = (count: number, [shortest, longest]: [number, number] = [1, 30]): StreamRequest[] =>
  randomPrompts(config, count, [shortest, longest]).map((prompt, i) => ({
    id: `r${i}`,
    prompt,
    maxTokens: 1 + ((i * 11) % 40),
    temperature: i % 3 === 0 ? 0 : 1,
    topP: i % 2 === 0 ? 1 : 0.9,
    seed: i,
  }))
const drawsOf = async (request: StreamRequest, { signal } = context): Promise<Draw[]> => {
  const draws: Draw[] = []
  for await (const draw of sampler.stream(request, { signal })) draws.push(draw)
  return draws
}
const resultOf = (id: string, draws: readonly Draw[]): unknown => {
  const finish = draws.at(-1)!.finish
  const tokens = draws.map(({ token }) => token)
  return { id, tokens: finish === 'stop' ? tokens.slice(0, -1) : tokens, finish }
}
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

test('150 streams that begin at different times give what generate gives, and more than one is under way', async () => {
  const all = requests(150)
  const expected = await sampler.generate(all, context)
  let underWay = 0
  let most = 0
  const found = await Promise.all(
    all.map(async (request, i) => {
      await pause(Math.floor(i / 10) * 3)
      const draws: Draw[] = []
      for await (const draw of sampler.stream(request, context)) {
        if (draws.push(draw) === 1) most = Math.max(most, ++underWay)
      }
      underWay--
      return resultOf(request.id, draws)
    }),
  )
  expect(found).toEqual(expected)
  expect(new Set(expected.map(({ finish }) => finish))).toEqual(new Set(['stop', 'length']))
  expect(most).toBeGreaterThan(5)
})

test('a request that needs more positions than the stream has waits for the next, and those behind it too', async () => {
  const short = requests(20)
  const [long] = randomPrompts(config, 1, [1500, 1500]).map((prompt) => ({ ...requests(1)[0]!, prompt }))
  const all = [...short.slice(0, 10), long!, ...short.slice(10)]
  const expected = await sampler.generate(all, context)
  const found = await Promise.all(all.map(async (request) => resultOf(request.id, await drawsOf(request))))
  expect(found).toEqual(expected)
})

test('a request that comes as a stream ends goes into the next one', async () => {
  const request = { ...requests(1)[0]!, maxTokens: 1 }
  const [expected] = await sampler.generate([request], context)
  for (let i = 0; i < 300; i++) expect(resultOf(request.id, await drawsOf(request))).toEqual(expected)
})

test('log-probabilities are those of the scorer, the likeliest tokens in their order, at any temperature', async () => {
  const all = requests(40).map((request, i) => ({ ...request, topLogprobs: i % 5 }))
  const found = await Promise.all(all.map((request) => drawsOf(request)))
  for (const [i, { id, prompt }] of all.entries()) {
    const draws = found[i]!
    const continuation = draws.map(({ token }) => token)
    const [whole] = await sampler.sequenceLogprob([{ id, prompt, continuation }], context)
    const sum = draws.reduce((total, { logprobs }) => total + logprobs!.logprob, 0)
    expect(Math.abs(sum - whole!.logprob)).toBeLessThan(1e-5)
    const choices = Array.from({ length: config.vocabSize }, (_, token) => [token])
    const [first] = await sampler.choiceLogprobs([{ id, prompt, choices }], context)
    const order = [...first!.logprobs.entries()].sort(([, a], [, b]) => b - a).slice(0, i % 5)
    expect(draws[0]!.logprobs!.top).toEqual(order.map(([token, logprob]) => ({ token, logprob })))
  }
  // Not asked for, not given, though others in the same step have them.
  const [silent, told] = await Promise.all([
    drawsOf(requests(1)[0]!),
    drawsOf({ ...all[1]!, topLogprobs: 0 }),
  ])
  expect(silent.every(({ logprobs }) => logprobs === null)).toBe(true)
  expect(told.every(({ logprobs }) => logprobs?.top.length === 0)).toBe(true)
})

test('who stops iterating ends the response, who aborts gets INTERRUPTED, and the others go on', async () => {
  const endless = requests(70).map((request) => ({ ...request, maxTokens: 2000 }))
  const stopping = { ...endless[0]!, prompt: [1], temperature: 0, seed: 3 }
  const [expected] = await sampler.generate([{ ...stopping, maxTokens: 60 }], context)
  const controller = new AbortController()
  const aborted = endless.slice(1, 67).map((request) =>
    drawsOf(request, { signal: controller.signal }).then(
      () => 'done',
      (error: LabError) => error.code,
    ),
  )
  const draws: number[] = []
  for await (const { token, finish } of sampler.stream(stopping, context)) {
    if (finish !== 'stop') draws.push(token)
    if (draws.length === 3) controller.abort()
    if (draws.length === 60) break
  }
  expect(draws).toEqual(expected!.tokens.slice(0, 60))
  expect(await Promise.all(aborted)).toContain('INTERRUPTED')
  // Nothing is under way now, or this would have to wait for it.
  const start = performance.now()
  expect(await sampler.generate([{ ...stopping, maxTokens: 3 }], context)).toMatchObject([
    { tokens: expected!.tokens.slice(0, 3) },
  ])
  expect(performance.now() - start).toBeLessThan(1500)
})

test('mistakes are refused, nothing is drawn for 0 tokens, and closing ends what is under way', async () => {
  await expect(drawsOf({ ...requests(1)[0]!, prompt: [] })).rejects.toMatchObject({ code: 'BAD_INPUT' })
  expect(await drawsOf({ ...requests(1)[0]!, maxTokens: 0 })).toEqual([])
  const own = createSamplerHost(createCores(1))
  const other = await own.open(join(dir, 'model'))
  const draws = other.stream({ ...requests(1)[0]!, temperature: 1, maxTokens: 2000 }, context)
  await expect(
    (async () => {
      for await (const draw of draws) if (draw.finish === null) await own.close()
    })(),
  ).rejects.toMatchObject({ code: 'INTERRUPTED' })
})

test('the largest values come in order, of equals the first', () => {
  expect(largest(Float32Array.of(1, 3, 2, 3, -1), 3)).toEqual([1, 3, 2])
  expect(largest(Float32Array.of(1, 2), 5)).toEqual([1, 0])
  expect(largest(Float32Array.of(1, 2), 0)).toEqual([])
})
