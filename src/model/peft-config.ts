/** adapter_config.json of a PEFT folder: the keys of a plain LoRA adapter; what would compute something else is refused. */
import { z } from 'zod'

const names = z.array(z.string())
/** Features that other keys of PEFT switch on; off is how a plain adapter has them. */
const off = z.unknown().refine((value) => value === null || value === false || isEmpty(value), {
  error: 'is set; only plain LoRA adapters are read',
})
const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && Object.keys(value ?? {}).length === 0

/** Rank, scale and the base model matter; where a module's adapter lies is what the tensors say. */
export const peftConfigSchema = z.strictObject({
  peft_type: z.literal('LORA', { error: 'must be "LORA"' }),
  task_type: z.literal('CAUSAL_LM', { error: 'must be "CAUSAL_LM"' }).nullish(),
  /** A folder, absolute or as seen from the adapter's own; PEFT also writes names of a hub. */
  base_model_name_or_path: z.string().min(1).nullish(),
  r: z.int().min(1).max(4096),
  lora_alpha: z.number().positive().max(1e6),
  use_rslora: z.boolean().default(false),
  /** Last parts of module names, or one regular expression in Python's grammar, or `all-linear`. */
  target_modules: z.union([names.min(1), z.string().min(1)]),

  // Without meaning once the adapter is trained.
  lora_dropout: z.number().min(0).max(1).optional(),
  inference_mode: z.boolean().optional(),
  peft_version: z.string().optional(),
  revision: z.string().nullish(),
  auto_mapping: z.record(z.string(), z.unknown()).nullish(),
  ensure_weight_tying: z.boolean().nullish(),
  megatron_core: z.string().nullish(),
  qalora_group_size: z.int().optional(),
  // Other initialisations change the base model's weights too.
  init_lora_weights: z
    .union([z.boolean(), z.enum(['gaussian', 'orthogonal', 'eva'])], {
      error: 'is one that changes the base model; convert the adapter to plain LoRA with PEFT',
    })
    .optional(),
  eva_config: z.record(z.string(), z.unknown()).nullish(),
  // They narrow down the targets; the tensors show the outcome.
  exclude_modules: z.union([names, z.string()]).nullish(),
  layers_to_transform: z.union([z.array(z.int()), z.int()]).nullish(),
  layers_pattern: z.union([names, z.string()]).nullish(),

  bias: z.literal('none', { error: 'must be "none": adapters of biases are not read' }).optional(),
  fan_in_fan_out: off.optional(),
  lora_bias: off.optional(),
  rank_pattern: off.optional(),
  alpha_pattern: off.optional(),
  modules_to_save: off.optional(),
  trainable_token_indices: off.optional(),
  target_parameters: off.optional(),
  layer_replication: off.optional(),
  use_dora: off.optional(),
  use_qalora: off.optional(),
  use_bdlora: off.optional(),
  alora_invocation_tokens: off.optional(),
  arrow_config: off.optional(),
  corda_config: off.optional(),
  kasa_config: off.optional(),
  loftq_config: off.optional(),
  lora_ga_config: off.optional(),
  megatron_config: off.optional(),
  monteclora_config: off.optional(),
  velora_config: off.optional(),
})

export type PeftConfig = z.infer<typeof peftConfigSchema>

/** What is written: the keys that every version of PEFT knows. */
export function peftConfigJson(adapter: {
  readonly base: string
  readonly rank: number
  readonly alpha: number
  readonly targets: readonly string[]
  /** Null for all. */
  readonly layers: readonly number[] | null
}): z.input<typeof peftConfigSchema> {
  return {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: adapter.base,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: adapter.layers === null ? null : [...adapter.layers],
    lora_alpha: adapter.alpha,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: adapter.rank,
    rank_pattern: {},
    revision: null,
    target_modules: [...adapter.targets],
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: false,
  }
}
