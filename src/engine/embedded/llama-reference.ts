/** The same model written as plainly as possible, in float64 and one document at a time: what the fast graphs are tested against. */
import type { ModelConfig } from '../../model/config.ts'
import { parameterSpecs } from '../../model/config.ts'
import type { Pack } from '../packs.ts'
import { ropeFrequencies } from './rope.ts'

/** One document alone: `targets[t]` is scored after `tokens[0..t]`, -1 is not. */
export interface ReferenceDocument {
  readonly tokens: readonly number[]
  readonly targets: readonly number[]
}

type Row = Float64Array<ArrayBuffer>

/** The documents of packs, each cut out of its pack. */
export function documentsOf(packs: readonly Pack[]): ReferenceDocument[] {
  const documents: ReferenceDocument[] = []
  for (const pack of packs) {
    const numbers = new Set(pack.documents.values().filter((d) => d >= 0))
    for (const number of numbers) {
      const own = (_: number, t: number): boolean => pack.documents[t] === number
      documents.push({ tokens: [...pack.tokens].filter(own), targets: [...pack.targets].filter(own) })
    }
  }
  return documents
}

/** Mean negative log-likelihood (nats) over all scored tokens of the documents. */
export function referenceLoss(
  config: ModelConfig,
  weights: Row,
  documents: readonly ReferenceDocument[],
): number {
  let sum = 0
  let scored = 0
  for (const document of documents) {
    const logits = referenceLogits(config, weights, document.tokens)
    for (const [t, target] of document.targets.entries()) {
      if (target < 0) continue
      const row = logits[t] as Row
      const top = Math.max(...row)
      let total = 0
      for (const logit of row) total += Math.exp(logit - top)
      sum += top + Math.log(total) - (row[target] as number)
      scored++
    }
  }
  return sum / scored
}

/** Logits [tokens][vocabSize] of one document; `weights` is flat in the order of `parameterSpecs`. */
export function referenceLogits(config: ModelConfig, weights: Row, tokens: readonly number[]): Row[] {
  const { hiddenSize, heads, kvHeads, headDim } = config
  const named = new Map(
    parameterSpecs(config).map((p) => [p.name, weights.subarray(p.offset, p.offset + p.size)] as const),
  )
  const parameter = (name: string): Row => named.get(`${name}.weight`) ?? new Float64Array()
  const frequencies = ropeFrequencies(config)
  const embedding = parameter('model.embed_tokens')

  let x = tokens.map((id) => embedding.slice(id * hiddenSize, (id + 1) * hiddenSize))
  for (let l = 0; l < config.layers; l++) {
    const own = (name: string): Row => parameter(`model.layers.${l}.${name}`)
    const a = x.map((row) => norm(row, own('input_layernorm'), config.rmsEps))
    const project = (name: 'q' | 'k' | 'v', row: Row): Row => {
      const projected = apply(own(`self_attn.${name}_proj`), row)
      const bias = named.get(`model.layers.${l}.self_attn.${name}_proj.bias`)
      return bias ? add(projected, bias) : projected
    }
    const turn = (name: 'q' | 'k', row: Row, t: number): Row => {
      const projected = project(name, row)
      const normed = config.qkNorm
        ? normHeads(projected, own(`self_attn.${name}_norm`), config.rmsEps)
        : projected
      return rotate(normed, t, frequencies)
    }
    const q = a.map((row, t) => turn('q', row, t))
    const k = a.map((row, t) => turn('k', row, t))
    const v = a.map((row) => project('v', row))
    const mixed = q.map((row, t) => {
      const out = new Float64Array(heads * headDim)
      for (let h = 0; h < heads; h++) {
        const keyHead = Math.floor((h * kvHeads) / heads)
        attend(out, row, { k: k.slice(0, t + 1), v, h, keyHead, headDim })
      }
      return out
    })
    x = x.map((row, t) => add(row, apply(own('self_attn.o_proj'), mixed[t] as Row)))
    const f = x.map((row) => norm(row, own('post_attention_layernorm'), config.rmsEps))
    x = x.map((row, t) => {
      const gate = apply(own('mlp.gate_proj'), f[t] as Row)
      const up = apply(own('mlp.up_proj'), f[t] as Row)
      const hidden = gate.map((z, i) => (z / (1 + Math.exp(-z))) * (up[i] as number))
      return add(row, apply(own('mlp.down_proj'), hidden))
    })
  }
  const head = config.tied ? embedding : parameter('lm_head')
  return x.map((row) => apply(head, norm(row, parameter('model.norm'), config.rmsEps)))
}

/** W x with W [out, in], in = x.length. */
function apply(matrix: Row, x: Row): Row {
  const out = new Float64Array(matrix.length / x.length)
  for (let o = 0; o < out.length; o++) {
    let sum = 0
    for (let i = 0; i < x.length; i++) sum += (matrix[o * x.length + i] as number) * (x[i] as number)
    out[o] = sum
  }
  return out
}

function add(a: Row, b: Row): Row {
  return a.map((value, i) => value + (b[i] as number))
}

function norm(x: Row, gain: Row, eps: number): Row {
  const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length
  return x.map((value, i) => (value / Math.sqrt(meanSquare + eps)) * (gain[i] as number))
}

/** Every head normed by itself; `gain` has the length of a head. */
function normHeads(x: Row, gain: Row, eps: number): Row {
  const out = new Float64Array(x.length)
  for (let start = 0; start < x.length; start += gain.length)
    out.set(norm(x.subarray(start, start + gain.length), gain, eps), start)
  return out
}

/** Rotary positions, half-split. */
function rotate(x: Row, position: number, frequencies: Row): Row {
  const out = new Float64Array(x.length)
  const half = frequencies.length
  for (let start = 0; start < x.length; start += 2 * half) {
    for (const [i, frequency] of frequencies.entries()) {
      const angle = position * frequency
      const a = x[start + i] as number
      const b = x[start + i + half] as number
      out[start + i] = a * Math.cos(angle) - b * Math.sin(angle)
      out[start + i + half] = b * Math.cos(angle) + a * Math.sin(angle)
    }
  }
  return out
}

/** Writes head h of one query's attention over the given keys into `out`. */
function attend(
  out: Row,
  query: Row,
  { k, v, h, keyHead, headDim }: { k: Row[]; v: Row[]; h: number; keyHead: number; headDim: number },
): void {
  const scores = k.map((key) => {
    let score = 0
    for (let i = 0; i < headDim; i++) {
      score += (query[h * headDim + i] as number) * (key[keyHead * headDim + i] as number)
    }
    return score / Math.sqrt(headDim)
  })
  const top = Math.max(...scores)
  const exps = scores.map((score) => Math.exp(score - top))
  const total = exps.reduce((a, b) => a + b, 0)
  for (const [u, e] of exps.entries()) {
    for (let i = 0; i < headDim; i++) {
      const o = h * headDim + i
      out[o] = (out[o] as number) + (e / total) * (v[u]?.[keyHead * headDim + i] as number)
    }
  }
}
