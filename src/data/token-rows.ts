/** The tokens of all rows of a dataset, in as little memory as packing them allows: 4 bytes a token and 16 a row. */
import type { TokenRow } from './rows.ts'

/** Rows one after another. */
export interface TokenBlock {
  /** Tokens of all rows. */
  readonly ids: Int32Array<ArrayBuffer>
  /** [rows] */
  readonly lengths: Int32Array<ArrayBuffer>
  /** [rows] the first place of each row that is scored. */
  readonly responseFrom: Int32Array<ArrayBuffer>
}

/** Entries a row has in `places`: its block, its first token there, its length, its `responseFrom`. */
const ENTRIES = 4

/** A list of rows, numbered from 0, that only grows. */
export class TokenRows {
  private readonly blocks: Int32Array[] = []
  private places = new Int32Array(0)
  private rows = 0

  static of(rows: readonly TokenRow[]): TokenRows {
    const all = new TokenRows()
    all.append({
      ids: Int32Array.from(rows.flatMap(({ ids }) => [...ids])),
      lengths: Int32Array.from(rows, ({ ids }) => ids.length),
      responseFrom: Int32Array.from(rows, (row) => row.responseFrom),
    })
    return all
  }

  get count(): number {
    return this.rows
  }

  /** Keeps the block's `ids` as they are. */
  append({ ids, lengths, responseFrom }: TokenBlock): void {
    const block = this.blocks.push(ids) - 1
    this.reserve(this.rows + lengths.length)
    let at = ENTRIES * this.rows
    let first = 0
    for (const [i, length] of lengths.entries()) {
      this.places[at++] = block
      this.places[at++] = first
      this.places[at++] = length
      this.places[at++] = responseFrom[i] as number
      first += length
    }
    this.rows += lengths.length
  }

  length(row: number): number {
    return this.places[ENTRIES * row + 2] as number
  }

  responseFrom(row: number): number {
    return this.places[ENTRIES * row + 3] as number
  }

  row(row: number): TokenRow & { readonly ids: Int32Array } {
    const { places, blocks } = this
    const at = ENTRIES * row
    const first = places[at + 1] as number
    const ids = blocks[places[at] as number] as Int32Array
    return {
      ids: ids.subarray(first, first + (places[at + 2] as number)),
      responseFrom: places[at + 3] as number,
    }
  }

  private reserve(rows: number): void {
    if (ENTRIES * rows <= this.places.length) return
    const grown = new Int32Array(Math.max(ENTRIES * rows, 2 * this.places.length))
    grown.set(this.places)
    this.places = grown
  }
}
