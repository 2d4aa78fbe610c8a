/** Past keys and values of a batch: one buffer a layer and kind, T-major, so that the past is a view and new slots are written in place. */
import * as ort from 'onnxruntime-node'
import type { LlamaConfig } from '../../model/config.ts'
import { keysName, pastKeysName, pastValuesName, valuesName } from './llama-infer.ts'

export type Tensors = Record<string, ort.Tensor>

interface Names {
  readonly past: string
  readonly fresh: string
}

/** Slot t of row b lies at (t·batch + b)·kvHeads·headDim. The buffers grow and are used again by the next batch. */
export class KvCache {
  private readonly config: LlamaConfig
  private readonly names: readonly Names[]
  private buffers: Float32Array[]
  private rows = 0
  private filled = 0

  constructor(config: LlamaConfig) {
    this.config = config
    this.names = Array.from({ length: config.layers }, (_, layer) => [
      { past: pastKeysName(layer), fresh: keysName(layer) },
      { past: pastValuesName(layer), fresh: valuesName(layer) },
    ]).flat()
    this.buffers = this.names.map(() => new Float32Array(0))
  }

  /** Slots that hold a token; the same for every row. */
  get length(): number {
    return this.filled
  }

  get batch(): number {
    return this.rows
  }

  /** Empty, with room for so many slots of so many rows. */
  reset(batch: number, slots: number): void {
    this.rows = batch
    this.filled = 0
    const wanted = slots * batch * this.rowSize
    if (this.buffers.some(({ length }) => length < wanted)) {
      this.buffers = this.names.map(() => new Float32Array(wanted))
    }
  }

  /** The filled slots, as inputs of a decode graph. */
  past(): Tensors {
    const { kvHeads, headDim } = this.config
    const dims = [this.filled, this.rows, kvHeads, 1, headDim]
    return this.views((names) => names.past, 0, this.filled, dims)
  }

  /** The next `slots` slots, as outputs of a graph; they count as filled from now on. */
  append(slots: number): Tensors {
    const from = this.filled
    this.filled += slots
    const { kvHeads, headDim } = this.config
    return this.views((names) => names.fresh, from, this.filled, [slots, this.rows, kvHeads * headDim])
  }

  /** Keeps these rows (ascending) and drops the others, in place: every copy goes towards the front. */
  keep(rows: readonly number[]): void {
    const size = this.rowSize
    const runs = consecutiveRuns(rows)
    for (const buffer of this.buffers) {
      for (let slot = 0; slot < this.filled; slot++) {
        let target = slot * rows.length
        for (const { from, count } of runs) {
          const source = slot * this.rows + from
          buffer.copyWithin(target * size, source * size, (source + count) * size)
          target += count
        }
      }
    }
    this.rows = rows.length
  }

  private get rowSize(): number {
    return this.config.kvHeads * this.config.headDim
  }

  private views(nameOf: (names: Names) => string, from: number, to: number, dims: number[]): Tensors {
    const slot = this.rows * this.rowSize
    return Object.fromEntries(
      this.buffers.map((buffer, i) => [
        nameOf(this.names[i] as Names),
        new ort.Tensor('float32', buffer.subarray(from * slot, to * slot), dims),
      ]),
    )
  }
}

/** [2, 3, 4, 7] as 3 from 2 and 1 from 7. */
function consecutiveRuns(ascending: readonly number[]): { from: number; count: number }[] {
  const runs: { from: number; count: number }[] = []
  for (const row of ascending) {
    const last = runs.at(-1)
    if (last && last.from + last.count === row) last.count++
    else runs.push({ from: row, count: 1 })
  }
  return runs
}
