/** config.json of a Hugging Face folder: which models we compute exactly, read from old and new keys, written with the old ones. */
import { z } from 'zod'
import { LabError } from '../errors.ts'
import type { Llama3Scaling, ModelConfig } from './config.ts'

const size = z
  .int()
  .positive()
  .max(2 ** 31)
const layerCount = z.int().positive().max(1000)
const tokenId = z.int().nullish()
const positive = z.number().positive()
const rope = z.looseObject({
  rope_theta: positive.optional(),
  rope_type: z.string().optional(),
  type: z.string().optional(),
  partial_rotary_factor: z.number().optional(),
  factor: positive.optional(),
  low_freq_factor: positive.optional(),
  high_freq_factor: positive.optional(),
  original_max_position_embeddings: size.optional(),
})
type RopeJson = z.infer<typeof rope>

/** The keys we use; others pass. What a family's own default decides is optional here: `familyDefaults`. */
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
  max_position_embeddings: size.optional(),
  original_max_position_embeddings: size.optional(),
  rms_norm_eps: positive.default(1e-6),
  rope_theta: positive.nullish(),
  rope_scaling: rope.nullish(),
  rope_parameters: rope.nullish(),
  partial_rotary_factor: z.number().nullish(),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  use_sliding_window: z.boolean().nullish(),
  layer_types: z.array(z.string()).nullish(),
  torch_dtype: z.string().nullish(),
  dtype: z.string().nullish(),
  quantization_config: z.unknown().optional(),
  bos_token_id: tokenId,
  eos_token_id: z.union([z.int(), z.array(z.int())]).nullish(),
  pad_token_id: tokenId,
})
/** The key of generation_config.json that we use. */
export const generationConfigSchema = z.looseObject({
  eos_token_id: z.union([z.int(), z.array(z.int())]).nullish(),
})

export type ConfigJson = z.infer<typeof configJsonSchema>

type Family = ModelConfig['family']

/** What a key that is absent means in `transformers` (LlamaConfig, Qwen2Config, Qwen3Config). */
const familyDefaults = {
  llama: { kvHeads: null, headDim: null, maxPositions: 2048, bosId: 1, eosId: 2 },
  qwen2: { kvHeads: 32, headDim: null, maxPositions: 32_768, bosId: null, eosId: null },
  qwen3: { kvHeads: 32, headDim: 128, maxPositions: 32_768, bosId: null, eosId: null },
} as const

const architectures: Record<Family, string> = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
}

function isFamily(name: string): name is Family {
  return Object.hasOwn(familyDefaults, name)
}

/** The rotary settings that count: as in `transformers`, `rope_scaling` before `rope_parameters` unless it is empty. */
function ropeOf({ rope_scaling: old, rope_parameters: modern }: ConfigJson): RopeJson {
  return old && Object.keys(old).length > 0 ? old : (modern ?? {})
}

function ropeKind(settings: RopeJson): string {
  return settings.rope_type ?? settings.type ?? 'default'
}

/** The first thing in the file that we would compute differently from `transformers`, if any. */
function unsupported(json: ConfigJson): string | null {
  if (!isFamily(json.model_type)) return `model_type "${json.model_type}"`
  if (json.hidden_act !== 'silu') return `hidden_act "${json.hidden_act}"`
  // Qwen2 has its biases without saying so and does not read the key; in Llama and Qwen3 it adds one to the output projection too.
  if (json.attention_bias && json.model_type !== 'qwen2') return 'attention_bias'
  if (json.mlp_bias && json.model_type === 'llama') return 'mlp_bias'
  if (json.quantization_config !== undefined && json.quantization_config !== null)
    return 'quantization_config'
  if (json.model_type !== 'llama') {
    if (json.use_sliding_window) return 'use_sliding_window'
    const other = json.layer_types?.find((type) => type !== 'full_attention')
    if (other !== undefined) return `layer type "${other}"`
  }
  const settings = ropeOf(json)
  const kind = ropeKind(settings)
  if (kind !== 'default' && kind !== 'llama3') return `rope scaling "${kind}"`
  if (Object.values(settings).some((value) => typeof value === 'object' && value !== null))
    return 'a rope of its own for each layer type'
  if ((json.partial_rotary_factor ?? settings.partial_rotary_factor ?? 1) !== 1)
    return 'partial_rotary_factor'
  const dtype = json.dtype ?? json.torch_dtype ?? 'float32'
  if (!['float32', 'float16', 'bfloat16'].includes(dtype)) return `dtype "${dtype}"`
  return null
}

function scalingFromJson(file: string, json: ConfigJson, maxPositions: number): Llama3Scaling | null {
  const settings = ropeOf(json)
  if (ropeKind(settings) === 'default') return null
  const needed = (key: 'factor' | 'low_freq_factor' | 'high_freq_factor'): number => {
    const value = settings[key]
    if (value === undefined) throw new LabError('BAD_MODEL', `${file}: rope scaling "llama3" needs "${key}"`)
    return value
  }
  const scaling: Llama3Scaling = {
    type: 'llama3',
    factor: needed('factor'),
    lowFreqFactor: needed('low_freq_factor'),
    highFreqFactor: needed('high_freq_factor'),
    originalMaxPositions:
      json.original_max_position_embeddings ?? settings.original_max_position_embeddings ?? maxPositions,
  }
  if (scaling.highFreqFactor <= scaling.lowFreqFactor) {
    throw new LabError(
      'BAD_MODEL',
      `${file}: "high_freq_factor" ${scaling.highFreqFactor} is not above "low_freq_factor" ${scaling.lowFreqFactor}`,
    )
  }
  return scaling
}

/** A negative id means "none" in old files. */
function present(id: number | null | undefined): number | null {
  return id === null || id === undefined || id < 0 ? null : id
}

/** Our description of the model. Throws BAD_MODEL for what we cannot compute exactly, and for sizes that do not fit. */
export function configFromJson(file: string, json: ConfigJson): ModelConfig {
  const problem = unsupported(json)
  if (problem !== null || !isFamily(json.model_type)) {
    throw new LabError('BAD_MODEL', `${file}: ${problem} is not supported`, {
      hint: 'The embedded engine runs Llama, Qwen2 and Qwen3 models (and others of these types, e.g. SmolLM2) in 16 or 32 bits.',
    })
  }
  const family = json.model_type
  const defaults = familyDefaults[family]
  const heads = json.num_attention_heads
  const kvHeads =
    (json.num_key_value_heads === undefined ? defaults.kvHeads : json.num_key_value_heads) ?? heads
  const headDim = json.head_dim ?? defaults.headDim ?? json.hidden_size / heads
  const maxPositions = json.max_position_embeddings ?? defaults.maxPositions
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
    family,
    vocabSize: json.vocab_size,
    hiddenSize: json.hidden_size,
    layers: json.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    ffnSize: json.intermediate_size,
    ropeTheta: ropeOf(json).rope_theta ?? json.rope_theta ?? 10_000,
    ropeScaling: scalingFromJson(file, json, maxPositions),
    qkvBias: family === 'qwen2',
    qkNorm: family === 'qwen3',
    rmsEps: json.rms_norm_eps,
    tied: json.tie_word_embeddings,
    maxPositions,
    bosId: present(json.bos_token_id === undefined ? defaults.bosId : json.bos_token_id),
    eosIds: [(json.eos_token_id === undefined ? defaults.eosId : json.eos_token_id) ?? []]
      .flat()
      .filter((id) => id >= 0),
    padId: present(json.pad_token_id),
  }
}

/** One id as a number, several as a list, none as null. */
function eosValue(ids: readonly number[]): number | readonly number[] | null {
  return ids.length > 1 ? ids : (ids[0] ?? null)
}

function scalingToJson(scaling: Llama3Scaling | null): Record<string, unknown> | null {
  if (scaling === null) return null
  return {
    factor: scaling.factor,
    high_freq_factor: scaling.highFreqFactor,
    low_freq_factor: scaling.lowFreqFactor,
    original_max_position_embeddings: scaling.originalMaxPositions,
    rope_type: scaling.type,
  }
}

/** Keys that only some families have. */
function familyKeys(config: ModelConfig): Record<string, unknown> {
  switch (config.family) {
    case 'llama':
      return { attention_bias: false, mlp_bias: false }
    case 'qwen2':
      return { use_sliding_window: false }
    case 'qwen3':
      return { attention_bias: false, use_sliding_window: false }
  }
}

/** The config.json that `transformers` 4 and 5 both read. Throws INTERNAL if the family does not have the parts that the config has. */
export function configToJson(config: ModelConfig): Record<string, unknown> {
  if (config.qkvBias !== (config.family === 'qwen2') || config.qkNorm !== (config.family === 'qwen3'))
    throw new LabError('INTERNAL', `no ${config.family} model has these biases and norms`)
  return {
    architectures: [architectures[config.family]],
    ...familyKeys(config),
    attention_dropout: 0,
    bos_token_id: config.bosId,
    eos_token_id: eosValue(config.eosIds),
    head_dim: config.headDim,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: config.ffnSize,
    max_position_embeddings: config.maxPositions,
    model_type: config.family,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.kvHeads,
    pad_token_id: config.padId,
    rms_norm_eps: config.rmsEps,
    rope_scaling: scalingToJson(config.ropeScaling),
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tied,
    torch_dtype: 'float32',
    use_cache: true,
    vocab_size: config.vocabSize,
  }
}

/** generation_config.json: greedy unless asked, stops at the model's own end tokens. */
export function generationConfigToJson(config: ModelConfig): Record<string, unknown> {
  return {
    bos_token_id: config.bosId,
    do_sample: false,
    eos_token_id: eosValue(config.eosIds),
    pad_token_id: config.padId,
  }
}
