/** Shapes of published models by name, so that a plan can be made where their config.json cannot be read. */
import { configFromJson, configJsonSchema } from './config-json.ts'
import type { ModelConfig } from './config.ts'

const llama3 = {
  model_type: 'llama',
  vocab_size: 128_256,
  num_key_value_heads: 8,
  max_position_embeddings: 131_072,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
  bos_token_id: 128_000,
  eos_token_id: [128_001, 128_008, 128_009],
} as const
const stretched = {
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
  rope_type: 'llama3',
}

/** As their config.json has them. */
const published = {
  'llama-3.3-70b': {
    ...llama3,
    hidden_size: 8192,
    intermediate_size: 28_672,
    num_hidden_layers: 80,
    num_attention_heads: 64,
    rope_scaling: { factor: 8, ...stretched },
  },
  'llama-3.1-8b': {
    ...llama3,
    hidden_size: 4096,
    intermediate_size: 14_336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    rope_scaling: { factor: 8, ...stretched },
  },
  'llama-3.2-3b': {
    ...llama3,
    hidden_size: 3072,
    intermediate_size: 8192,
    num_hidden_layers: 28,
    num_attention_heads: 24,
    rope_scaling: { factor: 32, ...stretched },
    tie_word_embeddings: true,
  },
  'llama-3.2-1b': {
    ...llama3,
    hidden_size: 2048,
    intermediate_size: 8192,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    head_dim: 64,
    rope_scaling: { factor: 32, ...stretched },
    tie_word_embeddings: true,
  },
} as const

export type ShapeName = keyof typeof published
export const shapeNames = Object.keys(published) as [ShapeName, ...ShapeName[]]

/** A model's sizes, as an experiment file has them. */
export interface Shape {
  readonly family: ModelConfig['family']
  readonly vocab: number
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  readonly kv_heads: number
  readonly head_dim?: number | undefined
  readonly ffn: number
  readonly tied: boolean
  readonly positions: number
}

/** Throws BAD_MODEL, with `where` before it, for sizes that do not fit each other. */
export function configOfShape(shape: ShapeName | Shape, where: string): ModelConfig {
  return configFromJson(
    where,
    configJsonSchema.parse(typeof shape === 'string' ? published[shape] : configJsonOf(shape)),
  )
}

function configJsonOf(shape: Shape): Record<string, unknown> {
  const { family, vocab, hidden, layers, heads, kv_heads, head_dim, ffn, tied, positions } = shape
  return {
    model_type: family,
    vocab_size: vocab,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kv_heads,
    ...(head_dim === undefined ? {} : { head_dim }),
    intermediate_size: ffn,
    tie_word_embeddings: tied,
    max_position_embeddings: positions,
  }
}

/** Sizes that decide what a model costs. */
const sizes = [
  'family',
  'vocabSize',
  'hiddenSize',
  'layers',
  'heads',
  'kvHeads',
  'headDim',
  'ffnSize',
  'tied',
  'maxPositions',
] as const satisfies readonly (keyof ModelConfig)[]

/** In words how a model differs from the shape that a file declares for it; none if they agree. */
export function shapeDifferences(declared: ModelConfig, found: ModelConfig): string[] {
  return sizes
    .filter((size) => declared[size] !== found[size])
    .map((size) => `${size} is ${found[size]}, not ${declared[size]}`)
}
