/**
 * Model families: what `transformers` writes with random weights computes the same here, and what is written here computes
 * the same there. Widths and heads are those of real models; layers and vocabulary are fewer where it says so.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { referenceLogits } from '../../src/engine/embedded/llama-reference.ts'
import { openSampler } from '../../src/engine/embedded/sampler.ts'
import { trainByteBpe, writeTokenizerFolder } from '../../src/model/bpe.ts'
import { chatSpecials } from '../../src/model/chat.ts'
import type { ModelConfig } from '../../src/model/config.ts'
import { readConfig, readWeights, writeModelFolder } from '../../src/model/folder.ts'
import { openWeights } from '../../src/model/shards.ts'
import { rng } from '../../src/rng.ts'
import { missingPython, reference } from './python.ts'

/** Largest difference of a logit, and of a log-probability (nats). */
const tolerance = 1e-4

interface Family {
  readonly config: Readonly<Record<string, unknown>>
  readonly dtype: 'float32' | 'bfloat16' | 'float16'
  /** Standard deviation of the weights: about 1 / sqrt(hidden_size). */
  readonly scale: number
  readonly shards?: string
  /** Tokens of the prompts. */
  readonly lengths: readonly number[]
  readonly here: Partial<ModelConfig>
}

const llama3Rope = { rope_type: 'llama3', factor: 32, low_freq_factor: 1, high_freq_factor: 4 }

const families: Readonly<Record<string, Family>> = {
  'Llama-3.2-1B, 2 of 16 layers, 4,096 of 128,256 tokens, in shards of bfloat16': {
    config: {
      model_type: 'llama',
      vocab_size: 4096,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 2,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 64,
      max_position_embeddings: 131_072,
      rms_norm_eps: 1e-5,
      rope_parameters: { ...llama3Rope, rope_theta: 500_000, original_max_position_embeddings: 8192 },
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: [2, 3],
    },
    dtype: 'bfloat16',
    scale: 0.02,
    shards: '100MB',
    lengths: [3, 17],
    here: {
      family: 'llama',
      tied: true,
      eosIds: [2, 3],
      ropeScaling: {
        type: 'llama3',
        factor: 32,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxPositions: 8192,
      },
    },
  },
  'Llama 3, narrow, beyond its first context': {
    config: {
      model_type: 'llama',
      vocab_size: 320,
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      head_dim: 32,
      max_position_embeddings: 1024,
      rope_parameters: { ...llama3Rope, factor: 8, rope_theta: 500, original_max_position_embeddings: 64 },
      tie_word_embeddings: false,
    },
    dtype: 'float32',
    scale: 0.15,
    lengths: [1, 64, 500],
    here: { family: 'llama', tied: false, ropeTheta: 500 },
  },
  'Qwen2-0.5B and Qwen2.5-0.5B, 2 of 24 layers, 4,096 of 151,936 tokens': {
    config: {
      model_type: 'qwen2',
      vocab_size: 4096,
      hidden_size: 896,
      intermediate_size: 4864,
      num_hidden_layers: 2,
      num_attention_heads: 14,
      num_key_value_heads: 2,
      max_position_embeddings: 32_768,
      max_window_layers: 21,
      use_sliding_window: false,
      sliding_window: 32_768,
      rms_norm_eps: 1e-6,
      rope_parameters: { rope_type: 'default', rope_theta: 1_000_000 },
      tie_word_embeddings: true,
      bos_token_id: 1,
      eos_token_id: 2,
    },
    dtype: 'float16',
    scale: 0.03,
    lengths: [2, 33],
    here: { family: 'qwen2', qkvBias: true, headDim: 64, tied: true, ropeTheta: 1_000_000 },
  },
  'Qwen2.5-7B, 1 of 28 layers, its middle 1,024 of 18,944 wide, 512 of 152,064 tokens': {
    config: {
      model_type: 'qwen2',
      vocab_size: 512,
      hidden_size: 3584,
      intermediate_size: 1024,
      num_hidden_layers: 1,
      num_attention_heads: 28,
      num_key_value_heads: 4,
      max_position_embeddings: 32_768,
      rope_parameters: { rope_type: 'default', rope_theta: 1_000_000 },
      tie_word_embeddings: false,
    },
    dtype: 'float32',
    scale: 0.017,
    lengths: [9],
    here: { family: 'qwen2', qkvBias: true, headDim: 128, tied: false, bosId: null, eosIds: [] },
  },
  'Qwen3-0.6B, 2 of 28 layers, 4,096 of 151,936 tokens, in shards': {
    config: {
      model_type: 'qwen3',
      vocab_size: 4096,
      hidden_size: 1024,
      intermediate_size: 3072,
      num_hidden_layers: 2,
      num_attention_heads: 16,
      num_key_value_heads: 8,
      head_dim: 128,
      max_position_embeddings: 40_960,
      rms_norm_eps: 1e-6,
      rope_parameters: { rope_type: 'default', rope_theta: 1_000_000 },
      tie_word_embeddings: true,
    },
    dtype: 'float32',
    scale: 0.03,
    shards: '50MB',
    lengths: [4, 40],
    here: { family: 'qwen3', qkNorm: true, headDim: 128, tied: true },
  },
  'SmolLM2-135M, whole': {
    config: {
      model_type: 'llama',
      vocab_size: 49_152,
      hidden_size: 576,
      intermediate_size: 1536,
      num_hidden_layers: 30,
      num_attention_heads: 9,
      num_key_value_heads: 3,
      max_position_embeddings: 8192,
      rms_norm_eps: 1e-5,
      rope_parameters: { rope_type: 'default', rope_theta: 100_000 },
      tie_word_embeddings: true,
      bos_token_id: 0,
      eos_token_id: 0,
    },
    dtype: 'bfloat16',
    scale: 0.04,
    lengths: [6],
    here: { family: 'llama', layers: 30, headDim: 64, kvHeads: 3, tied: true, eosIds: [0] },
  },
}
const names = Object.keys(families)

const folderName = (name: string): string => name.replaceAll(/\W+/g, '-')

function promptsOf(name: string): number[][] {
  const { config, lengths } = families[name] as Family
  const random = rng('family prompts', name)
  return lengths.map((length) => Array.from({ length }, () => random.int(Number(config['vocab_size']))))
}

/** What `transformers` computes of what it wrote itself. */
async function askPython(dir: string) {
  const commands = names.flatMap((name, seed) => {
    const { config, dtype, scale, shards } = families[name] as Family
    const folder = join(dir, folderName(name))
    const made = { do: 'make_model', folder, config, dtype, seed, scale } as const
    return [
      shards === undefined ? made : { ...made, max_shard_size: shards },
      { do: 'logits', folder, prompts: promptsOf(name) } as const,
    ]
  })
  const results = await reference(commands)
  return new Map(names.map((name, i) => [name, results[2 * i + 1] as { logits: number[][]; class: string }]))
}

function logSoftmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits)
  const logSum = top + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0))
  return logits.map((logit) => logit - logSum)
}

function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = a.length === b.length ? 0 : Infinity
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(Number(a[i]) - Number(b[i])))
  return largest
}

describe.skipIf(missingPython() !== null)('families', () => {
  let dir = ''
  let python: Awaited<ReturnType<typeof askPython>>
  /** The largest differences that were seen. */
  const figures: string[] = []
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'parity-families-'))
    const tokenizer = trainByteBpe(['the sea'], { vocabSize: 270, specials: chatSpecials })
    await writeTokenizerFolder(join(dir, 'tokenizer'), tokenizer, { modelMaxLength: 256 })
    python = await askPython(dir)
  }, 240_000)
  afterAll(async () => {
    process.stderr.write(`${figures.join('\n')}\n`)
    await rm(dir, { recursive: true })
  })

  describe.each(names)('%s', (name) => {
    const { here, shards } = families[name] as Family
    const folder = (): string => join(dir, folderName(name))
    const expected = (): { logits: number[][]; class: string } => {
      const seen = python.get(name)
      if (seen === undefined) throw new Error(`no answer for ${name}`)
      return seen
    }

    test('its folder is read as what it is', async () => {
      expect(await readConfig(folder())).toMatchObject(here)
      await using weights = await openWeights(folder())
      const files = new Set(weights.tensors.values().map(({ file }) => file))
      expect(files.size > 1).toBe(shards !== undefined)
    })

    test('the float64 reference gives the logits of transformers', async () => {
      const config = await readConfig(folder())
      const weights = Float64Array.from(await readWeights(folder(), config))
      for (const [i, prompt] of promptsOf(name).entries()) {
        const theirs = expected().logits[i] as number[]
        const ours = referenceLogits(config, weights, prompt).at(-1) as Float64Array
        // Logits that are all alike would agree with anything.
        expect(Math.max(...theirs) - Math.min(...theirs)).toBeGreaterThan(2)
        const difference = worst(ours, theirs)
        figures.push(`${name}, ${prompt.length} tokens: logits differ by ${difference.toExponential(1)}`)
        expect(difference, `prompt ${i}`).toBeLessThan(tolerance)
      }
    })

    test('the sampler gives the log-probabilities of transformers', async () => {
      const { vocabSize } = await readConfig(folder())
      const prompts = promptsOf(name)
      const random = rng('family choices', name)
      const logprobs = expected().logits.map(logSoftmax)
      // The likeliest token, and others.
      const choices = logprobs.map((own) => [
        own.indexOf(Math.max(...own)),
        ...Array.from({ length: 31 }, () => random.int(vocabSize)),
      ])
      const sampler = await openSampler(folder())
      const scored = await sampler.choiceLogprobs(
        prompts.map((prompt, i) => ({
          id: String(i),
          prompt,
          choices: (choices[i] as number[]).map((token) => [token]),
        })),
        { signal: new AbortController().signal },
      )
      await sampler.close()
      for (const [i, { logprobs: ours }] of scored.entries()) {
        const theirs = (choices[i] as number[]).map((token) => (logprobs[i] as number[])[token] as number)
        const difference = worst(ours, theirs)
        figures.push(
          `${name}, ${prompts[i]?.length} tokens: log-probabilities differ by ${difference.toExponential(1)}`,
        )
        expect(difference, `prompt ${i}`).toBeLessThan(tolerance)
      }
    })

    test('what is written here gives the same logits in transformers', async () => {
      const config = await readConfig(folder())
      const written = join(dir, `written-${folderName(name)}`)
      const weights = await readWeights(folder(), config)
      await writeModelFolder(written, { config, weights, tokenizerDir: join(dir, 'tokenizer') })
      expect(await readConfig(written)).toEqual(config)
      // The same weights to the bit; PyTorch's own logits differ in the last bits where weights lie otherwise in memory.
      expect(
        Buffer.from((await readWeights(written, config)).buffer).equals(Buffer.from(weights.buffer)),
      ).toBe(true)
      const [again] = await reference([{ do: 'logits', folder: written, prompts: promptsOf(name) }])
      await rm(written, { recursive: true })
      expect(again.class).toBe(expected().class)
      for (const [i, logits] of expected().logits.entries())
        expect(worst(again.logits[i] as number[], logits), `prompt ${i}`).toBeLessThan(tolerance)
    })
  })
})
