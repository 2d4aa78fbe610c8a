/** The sampler on servers: token ids where they are taken, proven text elsewhere, what is missing by a forward process, a crash once. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { trainByteBpe, writeTokenizerFolder } from '../../model/bpe.ts'
import { chatSpecials } from '../../model/chat.ts'
import type { ModelConfig } from '../../model/config.ts'
import { writeModelFolder } from '../../model/folder.ts'
import { loraCount, writeAdapter } from '../../model/peft.ts'
import { openTokenizer, type Tokenizer } from '../../model/tokenizer.ts'
import { randomWeights, tinyConfig } from '../embedded/random-model.fixture.ts'
import { openSampler } from '../embedded/sampler.ts'
import type { GenerateRequest, Sampler } from '../engine.ts'
import { startCompletionsServer, type CompletionsServer } from './completions-server.fixture.ts'
import { Lane } from './lane.ts'
import { textOfPrompt, tokensOfText } from './prompt-text.ts'
import { writePython } from './python.fixture.ts'
import { createTorchSamplerHost, type TorchSamplerHost } from './sampler.ts'
import { testSettings } from './settings.fixture.ts'

const dir = mkdtempSync(join(tmpdir(), 'torch-server-'))
const context = { signal: new AbortController().signal }
const model = join(dir, 'model')
const adapter = join(dir, 'adapter')
let config: ModelConfig
let tokenizer: Tokenizer
let embedded: Sampler
let server: CompletionsServer
let lane = new Lane()

beforeAll(async () => {
  const trained = trainByteBpe(['Call me Ishmael. The sea! 😀 Ça va?'], {
    vocabSize: 300,
    specials: [...chatSpecials],
  })
  const tokenizerDir = join(dir, 'tokenizer')
  await writeTokenizerFolder(tokenizerDir, trained, { modelMaxLength: 128 })
  tokenizer = await openTokenizer(tokenizerDir)
  config = { ...tinyConfig, vocabSize: tokenizer.vocabSize, maxPositions: 128, eosIds: [tokenizer.endOfTurn] }
  await writeModelFolder(model, { config, weights: randomWeights(config), tokenizerDir })
  await adapt('adapter', '../model', 2)
  embedded = await openSampler(model)
})
afterEach(async () => {
  await lane.close()
  lane = new Lane()
  await server.close()
})
afterAll(async () => {
  await embedded.close()
  rmSync(dir, { recursive: true })
})

async function adapt(name: string, base: string, rank: number): Promise<string> {
  const shape = { rank, targets: ['q_proj'] as const }
  const weights = new Float32Array(loraCount(config, shape))
  await writeAdapter(join(dir, name), { config, ...shape, alpha: 4, weights, base })
  return join(dir, name)
}

/** Opens a folder on a server that speaks so. */
async function open(dialect: 'vllm' | 'transformers', folder = model): Promise<Sampler> {
  server = await startCompletionsServer({ dialect, folder: model, sampler: embedded, tokenizer })
  return hostOf().open(folder)
}

function hostOf(): TorchSamplerHost {
  const settings = testSettings({
    python: writePython(dir, 'done'),
    sampler: { server: { url: `${server.url}/v1` } },
  })
  return createTorchSamplerHost({ settings, launch: null, versions: {}, lane, logs: dir })
}

const prompts = (): number[][] => [
  tokenizer.encodeChat([{ role: 'user', content: 'The sea?' }]).ids,
  tokenizer.encodeChat([{ role: 'user', content: 'Ça va? 😀' }]).ids,
]
const requests = (): GenerateRequest[] =>
  prompts().map((prompt, i) => ({ id: `r${i}`, prompt, maxTokens: 8, temperature: 0, topP: 1, seed: 1 }))
const paths = (): string[] => server.asked.map(({ path }) => path)

describe('a server that takes token ids', () => {
  it('gives the same tokens as the embedded sampler, and log-probabilities of its own', async () => {
    const sampler = await open('vllm')
    expect(await sampler.generate(requests(), context)).toEqual(await embedded.generate(requests(), context))
    const [prompt = []] = prompts()
    const choices = [{ id: 'c', prompt, choices: [[7], [8, 9]] }]
    const [scored] = await sampler.choiceLogprobs(choices, context)
    const [expected] = await embedded.choiceLogprobs(choices, context)
    for (const [i, logprob] of (expected?.logprobs ?? []).entries())
      expect(scored?.logprobs[i]).toBeCloseTo(logprob, 5)
    const sequences = [{ id: 's', prompt, continuation: [7, 8, 9] }]
    const [sum] = await sampler.sequenceLogprob(sequences, context)
    expect(sum?.logprob).toBeCloseTo((await embedded.sequenceLogprob(sequences, context))[0]?.logprob ?? 0, 5)
    expect(sampler.notes).toEqual([
      `sampled by ${server.url}/v1; it computes together what comes at a time: rounding, and with it a close draw, may differ from run to run`,
    ])
    const bodies = server.asked.map(({ body }) => body as { prompt?: unknown } | null)
    expect(bodies.every((body) => typeof body?.prompt !== 'string')).toBe(true)
    await sampler.close()
  })

  it('is told of an adapter, and asked by its name', async () => {
    const sampler = await open('vllm', adapter)
    await sampler.generate(requests(), context)
    expect(paths()).toContain('/v1/load_lora_adapter')
    const last = server.asked.at(-1)?.body as { model: string }
    expect(last.model).toMatch(/^adapter-/)
    await sampler.close()
  })

  it('reads the adapters of a model as they come, those on adapters as one', async () => {
    const second = await adapt('second', '../model', 2)
    const above = await adapt('above', '../adapter', 3)
    await (await open('vllm', adapter)).close()
    const host = hostOf()
    for (const folder of [second, adapter, above]) {
      const sampler = await host.open(folder)
      await sampler.generate(requests(), context)
      await sampler.close()
    }
    const loaded = server.asked.filter(({ path }) => path === '/v1/load_lora_adapter')
    expect(loaded.map(({ body }) => (body as { lora_path: string }).lora_path)).toEqual([
      second,
      adapter,
      expect.stringMatching(/adapter-[0-9a-f]{16}$/),
    ])
    // Who serves is asked at a start: once for rank 2, once for the stack of rank 5.
    expect(paths().filter((path) => path === '/v1/models')).toHaveLength(2)
  })

  it('is asked again once where the connection broke, and then it is told', async () => {
    const sampler = await open('vllm')
    const [request] = requests()
    if (request === undefined) throw new Error('no request')
    server.cut = 1
    expect(await sampler.generate([request], context)).toHaveLength(1)
    server.cut = 2
    await expect(sampler.generate([request], context)).rejects.toThrow(/gave no answer twice/)
    await sampler.close()
  })

  it('that serves another folder is refused', async () => {
    const other = join(dir, 'other')
    await writeModelFolder(other, { config, weights: randomWeights(config), tokenizerDir: model })
    await expect(open('vllm', other)).rejects.toMatchObject({
      message: expect.stringContaining(`does not serve ${other}`) as string,
      hint: `it has: base (${model})`,
    })
  })
})

describe('a server that takes text only', () => {
  it('gives the same texts, and what it cannot do is done by a forward process and said', async () => {
    const sampler = await open('transformers')
    // A random model writes broken characters: of a text with those the tokens are others.
    const textsOf = async (from: Sampler): Promise<string[]> =>
      (await from.generate(requests(), context)).map(
        ({ tokens, finish }) => `${tokenizer.decode(tokens)} ${finish}`,
      )
    expect(await textsOf(sampler)).toEqual(await textsOf(embedded))
    expect(sampler.notes).toHaveLength(1)
    // The fixture in Python's place scores a choice with minus its length.
    const [scored] = await sampler.choiceLogprobs([{ id: 'c', prompt: [5], choices: [[7], [8, 9]] }], context)
    expect(scored).toEqual({ id: 'c', logprobs: [-1, -2] })
    expect(sampler.notes).toEqual([
      `sampled by ${server.url}/v1; it takes and gives text: tokens are those of the text, encoded again`,
      'log-probabilities came from the forward process: the server gives none',
    ])
    await sampler.close()
  })

  it('is not given a prompt that no text stands for', async () => {
    const sampler = await open('transformers')
    const prompt = tokenizer.encodeChat([{ role: 'user', content: 'say <|end|>' }]).ids
    const [result] = await sampler.generate(
      [{ id: 'r', prompt, maxTokens: 4, temperature: 0, topP: 1, seed: 1 }],
      context,
    )
    expect(result?.tokens).toEqual(prompt)
    expect(sampler.notes?.[1]).toBe('prompts that no text stands for went to the forward process')
    await sampler.close()
  })
})

describe('the text of a prompt', () => {
  beforeAll(async () => {
    server = await startCompletionsServer({ dialect: 'vllm', folder: model, sampler: embedded, tokenizer })
  })

  it('leaves out the opening that the server writes, and is refused where that is missing', () => {
    const opening = { text: '<|pad|>', ids: [0] }
    const [prompt = []] = prompts()
    const text = textOfPrompt(tokenizer, prompt)
    expect(textOfPrompt({ ...tokenizer, opening }, [0, ...prompt])).toBe(text)
    expect(textOfPrompt({ ...tokenizer, opening }, prompt)).toBeNull()
    expect(tokenizer.encode(text ?? '')).toEqual(prompt)
  })

  it('of a response that broke off inside a character still has tokens', () => {
    expect(tokensOfText(tokenizer, 'Ça \uFFFD')).not.toBeNull()
    expect(tokensOfText(tokenizer, '')).toEqual([])
  })
})
