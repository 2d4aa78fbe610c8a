/** Models: our sampler and `transformers` give the same logits and the same greedy continuations on the same folder, whoever wrote it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSampler } from '../../src/engine/embedded/sampler.ts'
import { trainByteBpe, writeTokenizerFolder } from '../../src/model/bpe.ts'
import { splitPattern } from '../../src/model/byte-level.ts'
import { chatSpecials, chatTemplate } from '../../src/model/chat.ts'
import { type ModelConfig, parameterCount, parameterSpecs } from '../../src/model/config.ts'
import { readConfig, writeModelFolder } from '../../src/model/folder.ts'
import { openTokenizer } from '../../src/model/tokenizer.ts'
import { rng } from '../../src/rng.ts'
import { missingPython, reference } from './python.ts'
import { plainTexts } from './texts.ts'

const specials = [...chatSpecials]
const vocabSize = 320
const corpus = plainTexts(7, 300)
/** Nats. */
const tolerance = 1e-4
const greedyTokens = 64

const tied: ModelConfig = {
  family: 'llama',
  vocabSize,
  hiddenSize: 32,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  ffnSize: 48,
  ropeTheta: 10_000,
  ropeScaling: null,
  qkvBias: false,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 256,
  bosId: null,
  eosIds: [],
  padId: 0,
}

/** Models that we write: grouped heads with a tied head; and an untied head, heads wider than hidden/heads, another rope, end tokens. */
const ours: Record<string, ModelConfig> = {
  'tied, grouped heads': tied,
  'untied, wide heads': {
    ...tied,
    tied: false,
    layers: 3,
    hiddenSize: 48,
    heads: 6,
    kvHeads: 3,
    headDim: 16,
    ropeTheta: 500_000,
  },
  'untied, one key head, end tokens': {
    ...tied,
    tied: false,
    kvHeads: 1,
    rmsEps: 1e-6,
    eosIds: [...Array(24).keys()].map((i) => 40 + i),
  },
}

const theirConfig = {
  vocab_size: vocabSize,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  bos_token_id: null,
  eos_token_id: null,
  pad_token_id: 0,
}

/** Models that `transformers` writes. */
const theirs = {
  'tied float32': { config: { ...theirConfig, tie_word_embeddings: true }, dtype: 'float32' },
  'untied bfloat16': {
    config: {
      ...theirConfig,
      tie_word_embeddings: false,
      head_dim: 16,
      rope_parameters: { rope_type: 'default', rope_theta: 500_000 },
    },
    dtype: 'bfloat16',
  },
  'untied float16 in shards': {
    config: { ...theirConfig, num_key_value_heads: 4, rms_norm_eps: 1e-5 },
    dtype: 'float16',
    max_shard_size: '20KB',
  },
} as const

function randomWeights(config: ModelConfig, seed: number): Float32Array {
  const stream = rng(seed, 'parity weights')
  const weights = new Float32Array(parameterCount(config))
  for (const { shape, offset, size } of parameterSpecs(config)) {
    for (let i = offset; i < offset + size; i++)
      weights[i] = 0.3 * stream.normal() + (shape.length === 1 ? 1 : 0)
  }
  return weights
}

/** Prompts of 1 to 60 ids, special tokens among them. */
function randomPrompts(): number[][] {
  const stream = rng(9, 'parity prompts')
  return [1, 2, 5, 16, 17, 33, 60].map((length) => Array.from({ length }, () => stream.int(vocabSize)))
}
const prompts = randomPrompts()

const folderName = (name: string): string => name.replaceAll(/\W+/g, '-')

/** Log-probabilities of every next token after every prompt, and greedy continuations, by our sampler. */
async function forwardHere(folder: string) {
  const sampler = await openSampler(folder)
  const context = { signal: new AbortController().signal }
  const choices = Array.from({ length: vocabSize }, (_, id) => [id])
  const scored = await sampler.choiceLogprobs(
    prompts.map((prompt, i) => ({ id: String(i), prompt, choices })),
    context,
  )
  const generated = await sampler.generate(
    prompts.map((prompt, i) => ({
      id: String(i),
      prompt,
      maxTokens: greedyTokens,
      temperature: 0,
      topP: 1,
      seed: 0,
    })),
    context,
  )
  await sampler.close()
  return { logprobs: scored.map(({ logprobs }) => logprobs), generated }
}

type Seen = { logprobs: number[][]; continuations: number[][]; parameters: number; class: string }

async function expectSame(folder: string, seen: Seen): Promise<{ stopped: number }> {
  const config = await readConfig(folder)
  expect(seen.class).toBe('LlamaForCausalLM')
  expect(seen.parameters).toBe(parameterCount(config))
  const { logprobs, generated } = await forwardHere(folder)
  for (const [i, expected] of seen.logprobs.entries()) {
    const worst = Math.max(...expected.map((x, id) => Math.abs(x - (logprobs[i]?.[id] ?? NaN))))
    expect(worst, `prompt ${i}`).toBeLessThan(tolerance)
    // A flat distribution would agree with anything.
    expect(Math.max(...expected) - Math.min(...expected)).toBeGreaterThan(2)
  }
  let stopped = 0
  for (const [i, expected] of seen.continuations.entries()) {
    const result = generated[i]
    const ends = result?.finish === 'stop'
    stopped += Number(ends)
    // transformers keeps the end token.
    expect(result?.tokens, `prompt ${i}`).toEqual(ends ? expected.slice(0, -1) : expected)
    expect(ends ? config.eosIds.includes(expected.at(-1) ?? -1) : expected.length === greedyTokens).toBe(true)
  }
  return { stopped }
}

async function askPython(dir: string) {
  const make = (name: keyof typeof theirs, seed: number) =>
    ({ do: 'make_model', folder: join(dir, folderName(name)), seed, scale: 0.3, ...theirs[name] }) as const
  const tokenizer = (name: string) =>
    ({
      do: 'make_tokenizer',
      folder: join(dir, folderName(name)),
      kind: 'bytes',
      texts: corpus,
      vocab_size: vocabSize,
      specials,
      eos: '<|end|>',
      chat_template: chatTemplate,
      split_pattern: splitPattern,
    }) as const
  const forward = (name: string) =>
    ({ do: 'forward', folder: join(dir, folderName(name)), prompts, greedy: greedyTokens }) as const
  const [, , , , a, b, c, d, e, f] = await reference([
    make('tied float32', 1),
    make('untied bfloat16', 2),
    make('untied float16 in shards', 3),
    tokenizer('tied float32'),
    forward('tied, grouped heads'),
    forward('untied, wide heads'),
    forward('untied, one key head, end tokens'),
    forward('tied float32'),
    forward('untied bfloat16'),
    forward('untied float16 in shards'),
  ])
  return new Map(
    [...Object.keys(ours), ...Object.keys(theirs)].map((name, i) => [name, [a, b, c, d, e, f][i]]),
  )
}

describe.skipIf(missingPython() !== null)('models', () => {
  let dir = ''
  let python: Awaited<ReturnType<typeof askPython>>
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'parity-model-'))
    const tokenizerDir = join(dir, 'tokenizer')
    await writeTokenizerFolder(tokenizerDir, trainByteBpe(corpus, { vocabSize, specials }), {
      modelMaxLength: 256,
    })
    for (const [i, [name, config]] of Object.entries(ours).entries()) {
      await writeModelFolder(join(dir, folderName(name)), {
        config,
        weights: randomWeights(config, i),
        tokenizerDir,
      })
    }
    python = await askPython(dir)
  }, 240_000)
  afterAll(() => rm(dir, { recursive: true }))

  const seenBy = (name: string): Seen => {
    const seen = python.get(name)
    if (seen === undefined) throw new Error(`no answer for ${name}`)
    return seen
  }

  test.each(Object.entries(ours))(
    'written here, %s: same logits, same greedy continuation',
    async (name, config) => {
      expect(await readConfig(join(dir, folderName(name)))).toEqual(config)
      const { stopped } = await expectSame(join(dir, folderName(name)), seenBy(name))
      if (config.eosIds.length > 0) expect(stopped).toBeGreaterThan(0)
    },
  )

  test.each(Object.keys(theirs))(
    'written by transformers, %s: same logits, same greedy continuation',
    async (name) => {
      await expectSame(join(dir, folderName(name)), seenBy(name))
    },
  )

  test('a tokenizer beside a model written by transformers opens too', async () => {
    const folder = join(dir, folderName('tied float32'))
    const tokenizer = await openTokenizer(folder)
    expect(tokenizer.vocabSize).toBe(vocabSize)
    expect(tokenizer.encodeChat([{ role: 'user', content: 'the' }]).ids.at(-1)).toBe(3)
  })
})
