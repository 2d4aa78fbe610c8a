/** The pieces of text that were met and their ids, looked up by their characters in a buffer: no string is made of a piece that is known. */

/** Pieces, and UTF-16 units of all of them; beyond either the table starts anew. */
const mostPieces = 100_000
const mostUnits = 1 << 20
/** Longer pieces are not remembered. */
const longestKept = 1024
const slotBits = 18
const slotMask = (1 << slotBits) - 1

/** The hash of some units and one more; that of none is 0. */
export function hashWith(hash: number, unit: number): number {
  return (Math.imul(hash, 31) + unit) | 0
}

/** A piece of a text, units[from..to). */
export interface Piece {
  readonly units: Uint16Array
  readonly from: number
  readonly to: number
  readonly hash: number
}

export function pieceOf(units: Uint16Array, from: number, to: number): Piece {
  let hash = 0
  for (let at = from; at < to; at++) hash = hashWith(hash, units[at] as number)
  return { units, from, to, hash }
}

export class PieceTable {
  /** [slots, 4]: hash, first unit, length | ids << 16 (0: free), first id. */
  private readonly slots = new Int32Array(4 << slotBits)
  private readonly units = new Uint16Array(mostUnits)
  private readonly ids: number[] = []
  private pieces = 0
  private used = 0

  /** Appends the ids of a piece; false if it is not known. */
  append({ units: text, from, to, hash }: Piece, into: number[]): boolean {
    const { slots, units, ids } = this
    for (let slot = firstSlot(hash); ; slot = (slot + 1) & slotMask) {
      const shape = slots[4 * slot + 2] as number
      if (shape === 0) return false
      if (slots[4 * slot] !== hash || (shape & 0xffff) !== to - from) continue
      let unit = slots[4 * slot + 1] as number
      let at = from
      while (at < to && units[unit] === text[at]) {
        unit++
        at++
      }
      if (at < to) continue
      const first = slots[4 * slot + 3] as number
      const end = first + (shape >>> 16)
      for (let i = first; i < end; i++) into.push(ids[i] as number)
      return true
    }
  }

  /** Remembers a piece that is not known. */
  add({ units, from, to, hash }: Piece, ids: readonly number[]): void {
    const length = to - from
    if (length > longestKept) return
    if (this.pieces === mostPieces || this.used + length > mostUnits) this.clear()
    let slot = firstSlot(hash)
    while (this.slots[4 * slot + 2] !== 0) slot = (slot + 1) & slotMask
    this.slots.set([hash, this.used, length | (ids.length << 16), this.ids.length], 4 * slot)
    this.units.set(units.subarray(from, to), this.used)
    this.used += length
    this.pieces++
    for (const id of ids) this.ids.push(id)
  }

  private clear(): void {
    this.slots.fill(0)
    this.ids.length = 0
    this.pieces = 0
    this.used = 0
  }
}

/** Fibonacci hashing: the low bits of the hash alone are those of the last characters. */
function firstSlot(hash: number): number {
  return Math.imul(hash, 0x9e3779b1) >>> (32 - slotBits)
}
