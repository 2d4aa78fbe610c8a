/** Runs the inference graphs of one architecture: sessions compiled when first needed, and the feeds that each call takes. */
import * as ort from 'onnxruntime-node'
import { type LlamaConfig, parameterSpecs } from '../../model/config.ts'
import { KvCache, type Tensors } from './kv-cache.ts'
import { MASKED, modelGraph, type ModelGraph, softmaxGraph } from './llama-infer.ts'

export interface InferenceOptions {
  /** Threads of one operator. ONNX Runtime gives the same bits for 1 and 2. */
  readonly threads: number
  /** Wraps every call into ONNX Runtime (native-guard.ts). */
  readonly guard: <T>(call: () => Promise<T>) => Promise<T>
}

/** One position of a batch of sequences whose log-probabilities are wanted. */
export interface Pick {
  readonly row: number
  /** The token at this position predicts the next one. */
  readonly position: number
  readonly token: number
}

/** Parameters as graph inputs; views of one flat vector. */
export function weightTensors(config: LlamaConfig, weights: Float32Array): Tensors {
  return Object.fromEntries(
    parameterSpecs(config).map(({ name, shape, offset, size }) => [
      name,
      new ort.Tensor('float32', weights.subarray(offset, offset + size), shape),
    ]),
  )
}

/** Serves every checkpoint of one architecture; not re-entrant, as its cache is that of one batch. Hold it as long as such models are sampled. */
export class Inference {
  readonly config: LlamaConfig
  readonly cache: KvCache
  private readonly options: InferenceOptions
  private readonly sessions = new Map<ModelGraph | 'softmax', Promise<ort.InferenceSession>>()
  private rope: Tensors = {}
  private ropeRows = 0

  constructor(config: LlamaConfig, options: InferenceOptions) {
    this.config = config
    this.options = options
    this.cache = new KvCache(config)
  }

  /**
   * Fills the empty cache with the prompts, one a row, each from slot 0; returns the logits after each prompt's last token.
   * Shorter prompts leave slots between their end and the longest one's; `decode` masks them.
   */
  async prefill(weights: Tensors, prompts: readonly (readonly number[])[]): Promise<Float32Array> {
    const { T, feeds } = this.promptFeeds(prompts)
    const B = prompts.length
    const rows_R = Int32Array.from(prompts, (prompt, b) => (prompt.length - 1) * B + b)
    return this.logits('prefill', B, {
      feeds: { ...weights, ...feeds, rows_R: new ort.Tensor('int32', rows_R, [B]) },
      fetches: this.cache.append(T),
    })
  }

  /** One more token a row; returns the logits after it. `mask_BP` has a row of cache.length + 1 values for each row of the batch. */
  async decode(
    weights: Tensors,
    next: { readonly ids: Int32Array; readonly positions: BigInt64Array; readonly mask_BP: Float32Array },
  ): Promise<Float32Array> {
    const B = next.ids.length
    const past = this.cache.past()
    this.reachPosition(this.cache.length, B)
    return this.logits('decode', B, {
      feeds: {
        ...weights,
        ...this.rope,
        ...past,
        ids_TB: new ort.Tensor('int32', next.ids, [1, B]),
        positions_TB: new ort.Tensor('int64', next.positions, [1, B]),
        mask_B111P: new ort.Tensor('float32', next.mask_BP, [B, 1, 1, 1, this.cache.length + 1]),
      },
      fetches: this.cache.append(1),
    })
  }

  /** softmax(logits / temperature) of every row; temperatures are above 0. */
  async probabilities(logits_RV: Float32Array, temperatures: readonly number[]): Promise<Float32Array> {
    const R = temperatures.length
    const inverse_R1 = Float32Array.from(temperatures, (temperature) => 1 / temperature)
    const { probabilities_RV } = await this.run('softmax', {
      logits_RV: new ort.Tensor('float32', logits_RV, [R, this.config.vocabSize]),
      inverse_temperatures_R1: new ort.Tensor('float32', inverse_R1, [R, 1]),
    })
    return (probabilities_RV as ort.Tensor).data as Float32Array
  }

  /** Natural log-probability of every pick, in order. */
  async score(
    weights: Tensors,
    sequences: readonly (readonly number[])[],
    picks: readonly Pick[],
  ): Promise<Float32Array> {
    const B = sequences.length
    const rowOf = new Map<number, number>()
    const picks_N2 = new BigInt64Array(picks.length * 2)
    for (const [i, { row, position, token }] of picks.entries()) {
      const flat = position * B + row
      const index = rowOf.get(flat) ?? rowOf.size
      rowOf.set(flat, index)
      picks_N2[2 * i] = BigInt(index)
      picks_N2[2 * i + 1] = BigInt(token)
    }
    const rows_R = Int32Array.from(rowOf.keys())
    const { logprobs_N } = await this.run('score', {
      ...weights,
      ...this.promptFeeds(sequences).feeds,
      rows_R: new ort.Tensor('int32', rows_R, [rows_R.length]),
      picks_N2: new ort.Tensor('int64', picks_N2, [picks.length, 2]),
    })
    return (logprobs_N as ort.Tensor).data as Float32Array
  }

  /** Frees the compiled graphs. */
  async release(): Promise<void> {
    const sessions = [...this.sessions.values()]
    this.sessions.clear()
    for (const session of sessions) await this.options.guard(async () => (await session).release())
  }

  private async logits(
    kind: ModelGraph,
    rows: number,
    { feeds, fetches }: { feeds: Tensors; fetches: Tensors },
  ): Promise<Float32Array> {
    const { vocabSize } = this.config
    const logits_RV = new Float32Array(rows * vocabSize)
    await this.run(kind, feeds, {
      ...fetches,
      logits_RV: new ort.Tensor('float32', logits_RV, [rows, vocabSize]),
    })
    return logits_RV
  }

  /** Right-padded: what stands behind a sequence is not seen from inside it. */
  private promptFeeds(sequences: readonly (readonly number[])[]): { T: number; feeds: Tensors } {
    const B = sequences.length
    const T = Math.max(...sequences.map(({ length }) => length))
    const ids_TB = new Int32Array(T * B)
    const positions_TB = new BigInt64Array(T * B)
    for (let t = 0; t < T; t++) {
      positions_TB.fill(BigInt(t), t * B, (t + 1) * B)
      for (let b = 0; b < B; b++) ids_TB[t * B + b] = sequences[b]?.[t] ?? 0
    }
    const mask_TT = new Float32Array(T * T)
    for (let t = 0; t < T; t++) mask_TT.fill(MASKED, t * T + t + 1, (t + 1) * T)
    this.reachPosition(T - 1, B)
    return {
      T,
      feeds: {
        ...this.rope,
        ids_TB: new ort.Tensor('int32', ids_TB, [T, B]),
        positions_TB: new ort.Tensor('int64', positions_TB, [T, B]),
        mask_TT: new ort.Tensor('float32', mask_TT, [T, T]),
      },
    }
  }

  private async run(
    kind: ModelGraph | 'softmax',
    feeds: Tensors,
    fetches?: Tensors,
  ): Promise<ort.InferenceSession.OnnxValueMapType> {
    const session = await this.session(kind)
    return this.options.guard(() => (fetches ? session.run(feeds, fetches) : session.run(feeds)))
  }

  private session(kind: ModelGraph | 'softmax'): Promise<ort.InferenceSession> {
    const known = this.sessions.get(kind)
    if (known) return known
    const graph = kind === 'softmax' ? softmaxGraph(this.config) : modelGraph(this.config, kind)
    const session = this.options.guard(() =>
      ort.InferenceSession.create(graph, {
        intraOpNumThreads: this.options.threads,
        interOpNumThreads: 1,
        // A pattern is remembered for every shape, and every decode step has its own.
        enableMemPattern: false,
      }),
    )
    this.sessions.set(kind, session)
    return session
  }

  /** The operator reads our [T, B] as [batch, sequence], and refuses tables with fewer rows than that "sequence". */
  private reachPosition(position: number, batch: number): void {
    const wanted = Math.max(position + 1, batch)
    if (wanted <= this.ropeRows) return
    this.ropeRows = Math.max(64, 2 ** Math.ceil(Math.log2(wanted)))
    this.rope = ropeTables(this.config, this.ropeRows)
  }
}

/** cos and sin of position·θ^(-2i/headDim), [positions, headDim/2]. Source: Su et al. 2021, eq. 15. */
function ropeTables({ headDim, ropeTheta }: LlamaConfig, positions: number): Tensors {
  const half = headDim / 2
  const angles = Float64Array.from({ length: positions * half }, (_, k) => {
    return Math.floor(k / half) * ropeTheta ** (-(2 * (k % half)) / headDim)
  })
  return {
    cos: new ort.Tensor('float32', Float32Array.from(angles, Math.cos), [positions, half]),
    sin: new ort.Tensor('float32', Float32Array.from(angles, Math.sin), [positions, half]),
  }
}
