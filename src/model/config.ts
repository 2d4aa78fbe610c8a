/** The architecture of a Llama, Qwen2 or Qwen3 model and the order in which its parameters lie in one flat vector. */

/** Llama 3.1's stretching of the rotary positions: long wavelengths are divided by `factor`, short ones kept, those between blended. */
export type Llama3Scaling = {
  readonly type: 'llama3'
  readonly factor: number
  /** Wavelengths above originalMaxPositions / lowFreqFactor are long. */
  readonly lowFreqFactor: number
  /** Wavelengths below originalMaxPositions / highFreqFactor are short. */
  readonly highFreqFactor: number
  readonly originalMaxPositions: number
}

export interface ModelConfig {
  /** What config.json calls the model; SmolLM2 and Llama 3.x are `llama`, Qwen2.5 is `qwen2`. */
  readonly family: 'llama' | 'qwen2' | 'qwen3'
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Width of the SwiGLU feed-forward. */
  readonly ffnSize: number
  readonly ropeTheta: number
  readonly ropeScaling: Llama3Scaling | null
  /** The query, key and value projections have biases (Qwen2). */
  readonly qkvBias: boolean
  /** Each head of the queries and keys is RMS-normalised before it is rotated (Qwen3). */
  readonly qkNorm: boolean
  readonly rmsEps: number
  /** The output head is the embedding. */
  readonly tied: boolean
  readonly maxPositions: number
  readonly bosId: number | null
  readonly eosIds: readonly number[]
  readonly padId: number | null
}

export interface ParameterSpec {
  /** Hugging Face name, e.g. `model.layers.0.self_attn.q_proj.weight`. */
  readonly name: string
  readonly shape: readonly number[]
  /** Elements before it in the flat vector. */
  readonly offset: number
  readonly size: number
}

/** Every parameter in its fixed order; a linear weight has shape [out, in]. Query, key and value lie together, as do gate and up. */
export function parameterSpecs(config: ModelConfig): ParameterSpec[] {
  const { hiddenSize: d, headDim, ffnSize } = config
  const qSize = config.heads * headDim
  const kvSize = config.kvHeads * headDim
  const shapes: [string, number[]][] = [['model.embed_tokens.weight', [config.vocabSize, d]]]
  for (let l = 0; l < config.layers; l++) {
    const layer = `model.layers.${l}.`
    shapes.push(
      [`${layer}input_layernorm.weight`, [d]],
      [`${layer}self_attn.q_proj.weight`, [qSize, d]],
      [`${layer}self_attn.k_proj.weight`, [kvSize, d]],
      [`${layer}self_attn.v_proj.weight`, [kvSize, d]],
    )
    if (config.qkvBias) {
      shapes.push(
        [`${layer}self_attn.q_proj.bias`, [qSize]],
        [`${layer}self_attn.k_proj.bias`, [kvSize]],
        [`${layer}self_attn.v_proj.bias`, [kvSize]],
      )
    }
    if (config.qkNorm) {
      shapes.push(
        [`${layer}self_attn.q_norm.weight`, [headDim]],
        [`${layer}self_attn.k_norm.weight`, [headDim]],
      )
    }
    shapes.push(
      [`${layer}self_attn.o_proj.weight`, [d, qSize]],
      [`${layer}post_attention_layernorm.weight`, [d]],
      [`${layer}mlp.gate_proj.weight`, [ffnSize, d]],
      [`${layer}mlp.up_proj.weight`, [ffnSize, d]],
      [`${layer}mlp.down_proj.weight`, [d, ffnSize]],
    )
  }
  shapes.push(['model.norm.weight', [d]])
  if (!config.tied) shapes.push(['lm_head.weight', [config.vocabSize, d]])

  let offset = 0
  return shapes.map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1)
    const spec = { name, shape, offset, size }
    offset += size
    return spec
  })
}

/** Number of parameters; a tied head counts once. */
export function parameterCount(config: ModelConfig): number {
  return parameterSpecs(config).reduce((n, p) => n + p.size, 0)
}
