/** A flat vector of weights (or of their gradients) as the arrays that the layers read; what lies together is one matrix. */
import { LabError } from '../../errors.ts'
import { parameterSpecs, type ModelConfig, type ParameterSpec } from '../../model/config.ts'

export interface LayerView {
  /** [D] */
  readonly attentionGain: Float32Array
  /** [(H + 2K)·h, D]: queries, keys, values */
  readonly qkv: Float32Array
  /** [(H + 2K)·h] */
  readonly qkvBias: Float32Array | null
  /** [h] */
  readonly qGain: Float32Array | null
  readonly kGain: Float32Array | null
  /** [D, H·h] */
  readonly o: Float32Array
  readonly ffnGain: Float32Array
  /** [2F, D]: gate, up */
  readonly gateUp: Float32Array
  /** [D, F] */
  readonly down: Float32Array
}

export interface ModelView {
  /** [V, D] */
  readonly embedding: Float32Array
  readonly layers: readonly LayerView[]
  readonly finalGain: Float32Array
  /** [V, D]; the embedding where the head is tied to it. */
  readonly head: Float32Array
}

/** Views into `flat`, in the order of `parameterSpecs(config)`. */
export function viewModel(config: ModelConfig, flat: Float32Array): ModelView {
  const specs = new Map(parameterSpecs(config).map((spec) => [spec.name, spec]))
  const specOf = (name: string): ParameterSpec => {
    const spec = specs.get(name)
    if (spec === undefined) throw new LabError('INTERNAL', `the model has no parameter ${name}`)
    return spec
  }
  /** One parameter, or a run of them that lie together. */
  const view = (first: string, last = first): Float32Array => {
    const end = specOf(last)
    return flat.subarray(specOf(first).offset, end.offset + end.size)
  }
  const layer = (l: number): LayerView => {
    const at = `model.layers.${l}.`
    return {
      attentionGain: view(`${at}input_layernorm.weight`),
      qkv: view(`${at}self_attn.q_proj.weight`, `${at}self_attn.v_proj.weight`),
      qkvBias: config.qkvBias ? view(`${at}self_attn.q_proj.bias`, `${at}self_attn.v_proj.bias`) : null,
      qGain: config.qkNorm ? view(`${at}self_attn.q_norm.weight`) : null,
      kGain: config.qkNorm ? view(`${at}self_attn.k_norm.weight`) : null,
      o: view(`${at}self_attn.o_proj.weight`),
      ffnGain: view(`${at}post_attention_layernorm.weight`),
      gateUp: view(`${at}mlp.gate_proj.weight`, `${at}mlp.up_proj.weight`),
      down: view(`${at}mlp.down_proj.weight`),
    }
  }
  const embedding = view('model.embed_tokens.weight')
  return {
    embedding,
    layers: Array.from({ length: config.layers }, (_, l) => layer(l)),
    finalGain: view('model.norm.weight'),
    head: config.tied ? embedding : view('lm_head.weight'),
  }
}
