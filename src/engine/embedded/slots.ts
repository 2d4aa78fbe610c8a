/** Which sequences are in the cache: those that wait take the slots of those that have finished, in their order. */
import type { Inference, Run } from './inference.ts'

/** A sequence on its way through the model. */
export interface Sequence {
  /** What is to be fed; it may grow. */
  readonly tokens: readonly number[]
  /** How many of its tokens the cache holds. */
  fed: number
}

/** A sequence, and how many of its tokens go into a step. */
export interface Turn<S> {
  readonly sequence: S
  readonly slot: number
  readonly count: number
}

/** The sequences that hold slots of one inference. */
export class Slots<S extends Sequence> {
  private readonly waiting: S[]
  private readonly held: (S | null)[]
  private readonly maxRows: number

  /** Every sequence must have a token to feed whenever a step begins, or be released. */
  constructor(sequences: readonly S[], { cache, maxRows }: Pick<Inference, 'cache' | 'maxRows'>) {
    this.waiting = sequences.toReversed()
    this.held = Array<null>(cache.slots).fill(null)
    this.maxRows = maxRows
  }

  /** Turns of the next step; none when all sequences have been released. Those that lack one token come first. */
  next(): Turn<S>[] {
    const turns: Turn<S>[] = []
    const long: { sequence: S; slot: number }[] = []
    for (let slot = 0; slot < this.held.length; slot++) {
      const sequence = (this.held[slot] ??= this.waiting.pop() ?? null)
      if (sequence === null) continue
      if (sequence.tokens.length - sequence.fed === 1) turns.push({ sequence, slot, count: 1 })
      else long.push({ sequence, slot })
    }
    let room = this.maxRows - turns.length
    for (const { sequence, slot } of long) {
      const count = Math.min(room, sequence.tokens.length - sequence.fed)
      if (count > 0) turns.push({ sequence, slot, count })
      room -= count
    }
    return turns
  }

  /** A sequence that takes a slot after those that wait already. */
  add(sequence: S): void {
    this.waiting.unshift(sequence)
  }

  /** Forgets a sequence, wherever it is. */
  remove(sequence: S): void {
    const waits = this.waiting.indexOf(sequence)
    if (waits >= 0) this.waiting.splice(waits, 1)
    const slot = this.held.indexOf(sequence)
    if (slot >= 0) this.release(slot)
  }

  /** Frees the slot; what it holds is overwritten, but for a prefix that all sequences share. */
  release(slot: number): void {
    this.held[slot] = null
  }
}

/** The tokens of a turn as the model takes them; `wanted` are places among them. */
export function runOf({ sequence, slot, count }: Turn<Sequence>, wanted: readonly number[]): Run {
  const { tokens, fed } = sequence
  return { slot, past: fed, tokens: tokens.slice(fed, fed + count), wanted }
}
