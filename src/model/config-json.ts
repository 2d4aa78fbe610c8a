/** config.json of a Hugging Face folder: which Llama models we compute exactly, read from old and new keys, written with the old ones. */
import { z } from 'zod'
import { LabError } from '../errors.ts'
import type { LlamaConfig } from './config.ts'

const size = z
  .int()
  .positive()
  .max(2 ** 31)
const layerCount = z.int().positive().max(1000)
const tokenId = z.int().nullish()
const rope = z.looseObject({
  rope_theta: z.number().positive().optional(),
  rope_type: z.string().optional(),
  type: z.string().optional(),
  partial_rotary_factor: z.number().optional(),
})

/** The keys we use; others pass. Defaults are those of `transformers` (LlamaConfig). */
export const configJsonSchema = z.looseObject({
  model_type: z.string(),
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  hidden_act: z.string().default('silu'),
  max_position_embeddings: size.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: rope.nullish(),
  rope_parameters: rope.nullish(),
  partial_rotary_factor: z.number().nullish(),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  torch_dtype: z.string().nullish(),
  dtype: z.string().nullish(),
  quantization_config: z.unknown().optional(),
  bos_token_id: tokenId.default(1),
  eos_token_id: z
    .union([z.int(), z.array(z.int())])
    .nullish()
    .default(2),
  pad_token_id: tokenId,
})
export type ConfigJson = z.infer<typeof configJsonSchema>

/** The first thing in the file that we would compute differently from `transformers`, if any. */
function unsupported(json: ConfigJson): string | null {
  if (json.model_type !== 'llama') return `model_type "${json.model_type}"`
  if (json.hidden_act !== 'silu') return `hidden_act "${json.hidden_act}"`
  if (json.attention_bias) return 'attention_bias'
  if (json.mlp_bias) return 'mlp_bias'
  if (json.quantization_config !== undefined && json.quantization_config !== null)
    return 'quantization_config'
  for (const scaling of [json.rope_scaling, json.rope_parameters]) {
    const kind = scaling?.rope_type ?? scaling?.type ?? 'default'
    if (kind !== 'default') return `rope scaling "${kind}"`
  }
  if ((json.partial_rotary_factor ?? json.rope_parameters?.partial_rotary_factor ?? 1) !== 1)
    return 'partial_rotary_factor'
  const dtype = json.dtype ?? json.torch_dtype ?? 'float32'
  if (!['float32', 'float16', 'bfloat16'].includes(dtype)) return `dtype "${dtype}"`
  return null
}

/** A negative id means "none" in old files. */
function present(id: number | null | undefined): number | null {
  return id === null || id === undefined || id < 0 ? null : id
}

/** Our description of the model. Throws BAD_MODEL for what we cannot compute exactly, and for sizes that do not fit. */
export function configFromJson(file: string, json: ConfigJson): LlamaConfig {
  const problem = unsupported(json)
  if (problem !== null) {
    throw new LabError('BAD_MODEL', `${file}: ${problem} is not supported`, {
      hint: 'The embedded engine runs plain Llama models; use engine: torch for others.',
    })
  }
  const heads = json.num_attention_heads
  const kvHeads = json.num_key_value_heads ?? heads
  const headDim = json.head_dim ?? json.hidden_size / heads
  if (!Number.isInteger(headDim)) {
    throw new LabError(
      'BAD_MODEL',
      `${file}: hidden_size ${json.hidden_size} is not a multiple of num_attention_heads ${heads}`,
    )
  }
  if (headDim % 2 !== 0)
    throw new LabError('BAD_MODEL', `${file}: head_dim ${headDim} is odd, but RoPE rotates pairs`)
  if (heads % kvHeads !== 0) {
    throw new LabError(
      'BAD_MODEL',
      `${file}: num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}`,
    )
  }
  return {
    vocabSize: json.vocab_size,
    hiddenSize: json.hidden_size,
    layers: json.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    ffnSize: json.intermediate_size,
    ropeTheta: json.rope_parameters?.rope_theta ?? json.rope_theta ?? 10_000,
    rmsEps: json.rms_norm_eps,
    tied: json.tie_word_embeddings,
    maxPositions: json.max_position_embeddings,
    bosId: present(json.bos_token_id),
    eosIds: [json.eos_token_id ?? []].flat().filter((id) => id >= 0),
    padId: present(json.pad_token_id),
  }
}

/** One id as a number, several as a list, none as null. */
function eosValue(ids: readonly number[]): number | readonly number[] | null {
  return ids.length > 1 ? ids : (ids[0] ?? null)
}

/** The config.json that `transformers` 4 and 5 both read. */
export function configToJson(config: LlamaConfig): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: config.bosId,
    eos_token_id: eosValue(config.eosIds),
    head_dim: config.headDim,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: config.ffnSize,
    max_position_embeddings: config.maxPositions,
    mlp_bias: false,
    model_type: 'llama',
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.kvHeads,
    pad_token_id: config.padId,
    rms_norm_eps: config.rmsEps,
    rope_scaling: null,
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tied,
    torch_dtype: 'float32',
    use_cache: true,
    vocab_size: config.vocabSize,
  }
}

/** generation_config.json: greedy unless asked, stops at the model's own end tokens. */
export function generationConfigToJson(config: LlamaConfig): Record<string, unknown> {
  return {
    bos_token_id: config.bosId,
    do_sample: false,
    eos_token_id: eosValue(config.eosIds),
    pad_token_id: config.padId,
  }
}
