/** The sampler on real model folders and in its real threads: what it says, how it draws, and how it stops. */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LabError } from '../../errors.ts'
import { parameterSpecs } from '../../model/config.ts'
import { writeModelFolder } from '../../model/folder.ts'
import { partsOf } from '../../model/weights-of.ts'
import type { GenerateRequest, Sampler } from '../engine.ts'
import { referenceLogits } from './llama-reference.ts'
import { randomPrompts, randomWeights, tinyConfig, writeRandomModel } from './random-model.fixture.ts'
import { createCores } from './cores.ts'
import { SamplerThread } from './sampler-thread.ts'
import { createSamplerHost, openSampler, type SamplerHost } from './sampler.ts'

const context = { signal: new AbortController().signal }
const exactWeights = Float64Array.from(randomWeights(tinyConfig))
let dir = ''
let folder = ''
let host: SamplerHost
let sampler: Sampler

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sampler-'))
  folder = await writeRandomModel(dir, 'plain', tinyConfig)
  host = createSamplerHost(createCores(2))
  sampler = await host.open(folder)
})
afterAll(async () => {
  await host.close()
  await rm(dir, { recursive: true })
})

const lastLogits = (tokens: readonly number[]): Float64Array =>
  referenceLogits(tinyConfig, exactWeights, tokens).at(-1) ?? new Float64Array()
const softmax = (logits: Float64Array, temperature = 1): number[] => {
  const weights = [...logits].map((x) => Math.exp(x / temperature))
  const total = weights.reduce((a, b) => a + b, 0)
  return weights.map((weight) => weight / total)
}
const requestOf = (prompt: readonly number[], i: number): GenerateRequest => ({
  id: `r${i}`,
  prompt,
  maxTokens: 12,
  temperature: 0,
  topP: 1,
  seed: 1,
})
const inTurn = async <T, R>(items: readonly T[], act: (item: T) => Promise<R[]>): Promise<R[]> => {
  const results: R[] = []
  for (const item of items) results.push(...(await act(item)))
  return results
}
const problem = (work: Promise<unknown>): Promise<LabError> =>
  work.then(
    () => expect.unreachable(),
    (error: LabError) => error,
  )

/** Upper 0.1% point of chi-square by Wilson and Hilferty 1931. */
const critical = (freedom: number): number =>
  freedom * (1 - 2 / (9 * freedom) + 3.0902 * Math.sqrt(2 / (9 * freedom))) ** 3
const endless = (count: number): GenerateRequest[] =>
  randomPrompts(tinyConfig, count, [1, 3]).map((prompt, i) => ({ ...requestOf(prompt, i), maxTokens: 38 }))
/** One step of it takes long enough to be interrupted inside a kernel. */
const slowConfig = { ...tinyConfig, vocabSize: 512, hiddenSize: 128, headDim: 32, ffnSize: 512, layers: 4 }
/** A program that opens the model, makes `requests` and ends in its own way. */
const program = (model: string, ending: string): string => `
  import { openSampler } from ${JSON.stringify(new URL('sampler.ts', import.meta.url).href)}
  const sampler = await openSampler(${JSON.stringify(model)})
  const request = { prompt: [1, 2, 3], maxTokens: 38, temperature: 0, topP: 1, seed: 1 }
  const requests = Array.from({ length: 2000 }, (_, i) => ({ ...request, id: String(i) }))
  const { signal } = new AbortController()
  ${ending}`

describe('greedy generation', () => {
  it('with the cache equals running the whole sequence again for every token', async () => {
    const requests = randomPrompts(tinyConfig, 6, [1, 12]).map(requestOf)
    const results = await sampler.generate(requests, context)
    for (const [i, { prompt }] of requests.entries()) {
      const sequence = [...prompt]
      for (let step = 0; step < 12; step++) {
        const logits = lastLogits(sequence)
        sequence.push(logits.indexOf(Math.max(...logits)))
      }
      expect(results[i]).toEqual({ id: `r${i}`, tokens: sequence.slice(prompt.length), finish: 'length' })
    }
  })

  it('of many mixed prompts equals that of each alone, and comes in request order', async () => {
    // Their lengths make several batches, and different limits drop rows on the way.
    const requests = randomPrompts(tinyConfig, 150, [1, 20]).map((prompt, i) => ({
      ...requestOf(prompt, i),
      maxTokens: 1 + ((i * 5) % 16),
    }))
    const together = await sampler.generate(requests, context)
    const alone = await inTurn(requests.slice(0, 40), (request) => sampler.generate([request], context))
    expect(together.map(({ id }) => id)).toEqual(requests.map(({ id }) => id))
    expect(together.map(({ tokens }) => tokens.length)).toEqual(requests.map(({ maxTokens }) => maxTokens))
    expect(together.slice(0, 40)).toEqual(alone)
  })
})

describe('stopping', () => {
  const prompt = [3, 1, 4, 1, 5]

  it('ends at any end-of-turn token of config.json or generation_config.json, and leaves it out', async () => {
    const [free] = await sampler.generate([requestOf(prompt, 0)], context)
    const [first, second] = [...new Set(free!.tokens)].slice(-2) as [number, number]
    const stopping = await writeRandomModel(dir, 'stopping', { ...tinyConfig, eosIds: [first] })
    const one = await host.open(stopping)
    const cut = { id: 'r0', tokens: free!.tokens.slice(0, free!.tokens.indexOf(first)), finish: 'stop' }
    expect(await one.generate([requestOf(prompt, 0)], context)).toEqual([cut])

    const generation = JSON.parse(await readFile(join(folder, 'generation_config.json'), 'utf8')) as object
    const other = await writeRandomModel(dir, 'other', tinyConfig)
    await writeFile(
      join(other, 'generation_config.json'),
      JSON.stringify({ ...generation, eos_token_id: [second, first] }),
    )
    const two = await host.open(other)
    expect(await two.generate([requestOf(prompt, 0)], context)).toEqual([cut])
    await Promise.all([one.close(), two.close()])
  })

  it('ends when the positions of the model are used up', async () => {
    const full = Array.from({ length: tinyConfig.maxPositions }, (_, i) => i % 7)
    const results = await sampler.generate(
      [requestOf(full, 0), requestOf(full.slice(0, -3), 1), requestOf(prompt, 2)],
      context,
    )
    expect(results.map(({ tokens, finish }) => [tokens.length, finish])).toEqual([
      [1, 'length'],
      [4, 'length'],
      [12, 'length'],
    ])
  })

  it('gives nothing for maxTokens 0 and for no requests', async () => {
    const requests = [{ ...requestOf(prompt, 0), maxTokens: 0 }, requestOf(prompt, 1)]
    const [none, some] = await sampler.generate(requests, context)
    expect(none).toEqual({ id: 'r0', tokens: [], finish: 'length' })
    expect(some!.tokens.length).toBe(12)
    expect(await sampler.generate(requests.slice(0, 1), context)).toEqual([none])
    expect(await sampler.generate([], context)).toEqual([])
    expect(await sampler.choiceLogprobs([], context)).toEqual([])
    expect(await sampler.sequenceLogprob([], context)).toEqual([])
  })
})

describe('random generation', () => {
  const prompt = [2, 7, 1]
  const draws = 2000
  /** Counts of each token over many responses of one token. */
  const counts = async (temperature: number, topP: number): Promise<number[]> => {
    const requests = Array.from({ length: draws }, (_, i) => ({
      ...requestOf(prompt, i),
      maxTokens: 1,
      temperature,
      topP,
    }))
    const found = Array<number>(tinyConfig.vocabSize).fill(0)
    for (const { tokens } of await sampler.generate(requests, context)) found[tokens[0]!]!++
    return found
  }
  /** Pearson's statistic over the tokens expected at least 5 times, the others together; and its degrees of freedom. */
  const chiSquare = (found: readonly number[], probabilities: readonly number[]): [number, number] => {
    const bins = new Map<number, { found: number; expected: number }>()
    for (const [token, probability] of probabilities.entries()) {
      const key = probability * draws >= 5 ? token : -1
      const bin = bins.get(key) ?? { found: 0, expected: 0 }
      bins.set(key, { found: bin.found + found[token]!, expected: bin.expected + probability * draws })
    }
    const filled = [...bins.values()].filter(({ expected }) => expected > 0)
    return [filled.reduce((sum, b) => sum + (b.found - b.expected) ** 2 / b.expected, 0), filled.length - 1]
  }
  it.each([1, 0.6])('draws tokens as often as their softmax says at temperature %s', async (temperature) => {
    const found = await counts(temperature, 1)
    const [statistic, freedom] = chiSquare(found, softmax(lastLogits(prompt), temperature))
    expect(freedom).toBeGreaterThan(5)
    expect(statistic).toBeLessThan(critical(freedom))
    // The test can tell: the same counts are far from another temperature.
    const [wrong, other] = chiSquare(found, softmax(lastLogits(prompt), temperature * 1.5))
    expect(wrong).toBeGreaterThan(critical(other))
  })

  it('draws from the nucleus alone, in its own proportions', async () => {
    const probabilities = softmax(lastLogits(prompt))
    const order = [...probabilities.keys()].sort((a, b) => probabilities[b]! - probabilities[a]!)
    let inside = 0
    const size = order.findIndex((token) => (inside += probabilities[token]!) >= 0.8) + 1
    const nucleus = new Set(order.slice(0, size))
    const found = await counts(1, 0.8)
    for (const [token, count] of found.entries()) if (!nucleus.has(token)) expect(count).toBe(0)
    const [statistic, freedom] = chiSquare(
      found,
      probabilities.map((probability, token) => (nucleus.has(token) ? probability / inside : 0)),
    )
    expect(size).toBeGreaterThan(2)
    expect(statistic).toBeLessThan(critical(freedom))
  })

  it('is the same for the same seed, over any number of threads, and another for another seed', async () => {
    const requests = randomPrompts(tinyConfig, 90, [1, 20]).map((tokens, i) => ({
      ...requestOf(tokens, i),
      temperature: 1,
      topP: 0.95,
    }))
    const first = await sampler.generate(requests, context)
    expect(await sampler.generate(requests, context)).toEqual(first)
    const single = await openSampler(folder, createCores(1))
    expect(await single.generate(requests, context)).toEqual(first)
    await single.close()
    const reseeded = await sampler.generate(
      requests.map((request) => ({ ...request, seed: 2 })),
      context,
    )
    expect(reseeded).not.toEqual(first)
  })

  it('does not depend on the company of a request', async () => {
    const requests = randomPrompts(tinyConfig, 30, [1, 20]).map((tokens, i) => ({
      ...requestOf(tokens, i),
      temperature: i % 2,
    }))
    const together = await sampler.generate(requests, context)
    const alone = await inTurn(requests, (request) => sampler.generate([request], context))
    expect(together).toEqual(alone)
  })
})

describe('prompts that begin alike, and prompts longer than a step', () => {
  const longConfig = { ...tinyConfig, maxPositions: 700 }
  const system = Array.from({ length: 300 }, (_, t) => (t * t) % 24)

  it('give what they give alone', async () => {
    const long = await host.open(await writeRandomModel(dir, 'long', longConfig))
    for (const shared of [system, []]) {
      const requests = [1, 350, 2, 2, 90, 7].map((length, i) => ({
        ...requestOf([...shared, ...Array.from({ length }, (_, t) => (t * 5 + i) % 24)], i),
        temperature: i % 2,
        continuation: [3, i, 4],
      }))
      const responses = await long.generate(requests, context)
      expect(responses).toEqual(await inTurn(requests, (request) => long.generate([request], context)))
      const scores = await long.sequenceLogprob(requests, context)
      expect(scores).toEqual(await inTurn(requests, (request) => long.sequenceLogprob([request], context)))
      expect(new Set(scores.map(({ logprob }) => logprob)).size).toBe(6)
    }
    await long.close()
  })
})

describe('log-probabilities', () => {
  it('over all tokens of the vocabulary sum to 1, and are those of the reference', async () => {
    const choices = Array.from({ length: tinyConfig.vocabSize }, (_, token) => [token])
    const [result] = await sampler.choiceLogprobs([{ id: 'all', prompt: [9, 8, 7], choices }], context)
    const probabilities = result!.logprobs.map(Math.exp)
    expect(probabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5)
    const reference = softmax(lastLogits([9, 8, 7]))
    for (const [i, p] of probabilities.entries()) expect(Math.abs(p - reference[i]!)).toBeLessThan(1e-5)
  })

  it('of a continuation are the sum of its steps, and of a choice those of the continuation', async () => {
    const prompt = [1, 2, 3, 4]
    const continuation = [5, 6, 7, 5, 6]
    const steps = continuation.map((token, i) => ({
      id: `${i}`,
      prompt: [...prompt, ...continuation.slice(0, i)],
      choices: [[token]],
    }))
    const sum = (await sampler.choiceLogprobs(steps, context)).reduce((s, r) => s + r.logprobs[0]!, 0)
    const [whole] = await sampler.sequenceLogprob([{ id: 'w', prompt, continuation }], context)
    const choices = [[5], continuation, continuation.slice(0, 2), [9, 9], []]
    const [mixed] = await sampler.choiceLogprobs([{ id: 'm', prompt, choices }], context)
    expect(whole).toMatchObject({ id: 'w', tokens: 5 })
    expect(Math.abs(whole!.logprob - sum)).toBeLessThan(1e-5)
    expect(Math.abs(mixed!.logprobs[1]! - sum)).toBeLessThan(1e-5)
    expect(mixed!.logprobs[0]).toBeGreaterThan(mixed!.logprobs[2]!)
    expect(mixed!.logprobs[4]).toBe(0)
  })

  it('of many mixed requests equal those of each alone', async () => {
    const requests = randomPrompts(tinyConfig, 100, [1, 25]).map((prompt, i) => ({
      id: `${i}`,
      prompt,
      continuation: [i % 24, (i * 5) % 24, 3].slice(i % 3),
    }))
    const together = await sampler.sequenceLogprob(requests, context)
    const alone = await inTurn(requests.slice(0, 30), (request) =>
      sampler.sequenceLogprob([request], context),
    )
    expect(together.map(({ id }) => id)).toEqual(requests.map(({ id }) => id))
    expect(together.slice(0, 30)).toEqual(alone)
  })
})

describe('mistakes', () => {
  it.each([
    [{ prompt: [] }, 'request r0: the prompt is empty'],
    [{ prompt: [1, 24] }, 'request r0: 24 is not a token of this model (0..23)'],
    [{ prompt: Array<number>(41).fill(1) }, "request r0: 41 tokens do not fit the model's 40 positions"],
    [{ maxTokens: -1 }, 'request r0: maxTokens must be a whole number from 0, not -1'],
    [{ temperature: -1 }, 'request r0: temperature must be 0 or at least 0.0001, not -1'],
    [{ topP: 0 }, 'request r0: topP must be above 0 and at most 1, not 0'],
  ])('%o is refused in a sentence', async (wrong, message) => {
    const error = await problem(sampler.generate([{ ...requestOf([1], 0), ...wrong }], context))
    expect(error).toMatchObject({ name: 'LabError', code: 'BAD_INPUT', message })
  })

  it('a continuation that does not fit is refused', async () => {
    const request = { id: 'long', prompt: [1, 2], continuation: Array<number>(40).fill(3) }
    expect(await problem(sampler.sequenceLogprob([request], context))).toMatchObject({ code: 'BAD_INPUT' })
    const [fits] = await sampler.sequenceLogprob([{ ...request, prompt: [1] }], context)
    expect(fits!.tokens).toBe(40)
  })

  it('a model whose logits overflow answers nothing: no token, no log-probability', async () => {
    const weights = randomWeights(tinyConfig)
    const gain = parameterSpecs(tinyConfig).find(({ name }) => name === 'model.norm.weight')
    weights.fill(3e38, gain!.offset, gain!.offset + gain!.size)
    const tokenizerDir = join(dir, 'tokenizer')
    const overflowing = join(dir, 'overflowing')
    await writeModelFolder(overflowing, { config: tinyConfig, weights, tokenizerDir })
    const own = await host.open(overflowing)
    const message = expect.stringContaining("the model's logits are not numbers") as unknown
    for (const temperature of [0, 1]) {
      const request = { ...requestOf([1, 2], 0), temperature }
      expect(await problem(own.generate([request], context))).toMatchObject({ code: 'ENGINE', message })
    }
    const choice = { id: 'a', prompt: [1, 2], choices: [[3], [4]] }
    expect(await problem(own.choiceLogprobs([choice], context))).toMatchObject({ code: 'ENGINE', message })
    await own.close()
  })

  it('a model that cannot be opened leaves its thread to the next', async () => {
    const thread = new SamplerThread(createCores(1))
    const broken = await writeRandomModel(dir, 'broken', tinyConfig)
    await writeFile(join(broken, 'model.safetensors'), 'not safetensors')
    const parts = await partsOf(broken)
    const opening = problem(thread.run({ kind: 'open', model: 0, parts }))
    expect(thread.models).toBe(1)
    expect(await opening).toMatchObject({ code: 'BAD_MODEL' })
    expect(thread.models).toBe(0)
    await thread.close()
  })

  it('a folder that cannot be read is refused with the reason, and the host goes on', async () => {
    expect(await problem(host.open(join(dir, 'nowhere')))).toMatchObject({ code: 'BAD_MODEL' })
    const broken = await writeRandomModel(dir, 'broken', tinyConfig)
    await writeFile(join(broken, 'model.safetensors'), 'not safetensors')
    const error = await problem(host.open(broken))
    expect(error).toMatchObject({ name: 'LabError', code: 'BAD_MODEL' })
    expect(error.message).toContain('model.safetensors')
    expect(await sampler.generate([requestOf([1], 0)], context)).toHaveLength(1)
  })
})

describe('ending', () => {
  it('an abort rejects at once, and the sampler is ready for the next call', async () => {
    const controller = new AbortController()
    const work = problem(sampler.generate(endless(20_000), { signal: controller.signal }))
    setTimeout(() => controller.abort(), 50)
    let aborted = 0
    controller.signal.addEventListener('abort', () => (aborted = performance.now()))
    expect(await work).toMatchObject({ code: 'INTERRUPTED' })
    expect(await sampler.generate(endless(1), context)).toHaveLength(1)
    expect(performance.now() - aborted).toBeLessThan(1000)
    const before = sampler.generate(endless(1), { signal: controller.signal })
    expect(await problem(before)).toMatchObject({ code: 'INTERRUPTED' })
  })

  it('closing ends what is running, and a closed model answers no more', async () => {
    const own = createSamplerHost(createCores(1))
    const slow = await writeRandomModel(dir, 'slow', slowConfig)
    const [closed, open] = [await own.open(folder), await own.open(slow)]
    await closed.close()
    expect(await problem(closed.generate(endless(1), context))).toMatchObject({ code: 'INTERNAL' })
    await open.generate(endless(1), context)
    const work = problem(open.generate(endless(2000), context))
    await new Promise((resolve) => setTimeout(resolve, 30))
    await own.close()
    expect(await work).toMatchObject({ code: 'INTERRUPTED' })
    await open.close()
  })

  it('an idle sampler does not keep a process alive, and one at work lets it leave with its own code', async () => {
    const slow = await writeRandomModel(dir, 'slow', slowConfig)
    for (const [ending, status] of [
      ['await sampler.generate(requests.slice(0, 1), { signal })', 0],
      ['setTimeout(() => process.exit(75), 60); await sampler.generate(requests, { signal })', 75],
    ] as const) {
      const result = spawnSync(process.execPath, ['--input-type=module', '-e', program(slow, ending)], {
        encoding: 'utf8',
        timeout: 20_000,
      })
      expect(result).toMatchObject({ status, signal: null, stderr: '' })
    }
  })
})
