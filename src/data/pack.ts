/** Packs token rows into fixed-length blocks of whole documents, epoch after epoch, in an order drawn from a seed. */
import type { Pack } from '../engine/packs.ts'
import { LabError } from '../errors.ts'
import { rng } from '../rng.ts'
import type { TokenRows } from './token-rows.ts'

export interface PackOptions {
  /** Places a pack (T). */
  readonly contextLength: number
  /** Packs to make: steps x batch; `epoch`: as many as one pass over the rows takes. */
  readonly packs: number | 'epoch'
  readonly seed: number
}

/** What the packs made so far hold. */
export interface PackStats {
  readonly packs: number
  /** Rows that can be packed, and those that cannot, by reason. */
  readonly rows: number
  readonly dropped: Readonly<Record<PackReason, number>>
  /** How often the rows have been gone through; 1.5 is one epoch and half of the next. */
  readonly epochs: number
  /** Input places in use. */
  readonly tokens: number
  /** Places with a target. */
  readonly scored: number
  /** Share of all places that are in use. */
  readonly efficiency: number
}

/** too_long: more than T + 1 tokens; unscored: no token that can be a target. */
export type PackReason = 'too_long' | 'unscored'

/** Packs in their order, each in the arrays of the one before; `stats()` tells what the last iteration has made so far. */
export interface PackedRows extends Iterable<Pack> {
  stats(): PackStats
}

/** Packs that are open at a time; a row goes to the one that it fills best. */
const WINDOW = 64

/** Why a row of so many tokens is never packed, or null. */
export function packFault(length: number, responseFrom: number, contextLength: number): PackReason | null {
  if (length > contextLength + 1) return 'too_long'
  return length <= Math.max(1, responseFrom) ? 'unscored' : null
}

/**
 * A row of n tokens takes n - 1 places: its last token is only a target. An epoch is shuffled, packed best fit, and
 * closed: every row lies in exactly one pack of it, and no pack spans two epochs. Only the last epoch may be cut short.
 * Throws BAD_INPUT if no row can be packed.
 */
export function packRows(rows: TokenRows, options: PackOptions): PackedRows {
  const { contextLength, packs: wanted, seed } = options
  const dropped = { too_long: 0, unscored: 0 }
  const fitting: number[] = []
  for (let row = 0; row < rows.count; row++) {
    const fault = packFault(rows.length(row), rows.responseFrom(row), contextLength)
    if (fault) dropped[fault]++
    else fitting.push(row)
  }
  if (fitting.length === 0) {
    throw new LabError('BAD_INPUT', `none of ${rows.count} rows can be packed into ${contextLength} tokens`, {
      hint: `${dropped.too_long} are too long, ${dropped.unscored} have nothing to learn from`,
    })
  }

  let made = { packs: 0, rows: 0, tokens: 0, scored: 0 }
  const places = (): Int32Array => new Int32Array(contextLength)
  const pack = { tokens: places(), documents: places(), targets: places() }
  return {
    *[Symbol.iterator]() {
      made = { packs: 0, rows: 0, tokens: 0, scored: 0 }
      for (let epoch = 0; wanted === 'epoch' ? epoch < 1 : made.packs < wanted; epoch++) {
        const order = rng(seed, 'pack', epoch).shuffle(fitting)
        for (const members of groupEpoch(rows, order, contextLength)) {
          if (made.packs === wanted) return
          const { tokens, scored } = fillPack(pack, rows, members)
          made.packs++
          made.rows += members.length
          made.tokens += tokens
          made.scored += scored
          yield pack
        }
      }
    },
    stats: () => ({
      packs: made.packs,
      rows: fitting.length,
      dropped,
      epochs: made.rows / fitting.length,
      tokens: made.tokens,
      scored: made.scored,
      efficiency: made.packs === 0 ? 0 : made.tokens / (made.packs * contextLength),
    }),
  }
}

interface OpenPack {
  readonly members: number[]
  room: number
}

/** Which rows share a pack. When no open pack has room for a row, the fullest is closed; the oldest of equals is taken. */
function* groupEpoch(
  rows: TokenRows,
  order: readonly number[],
  contextLength: number,
): Generator<readonly number[]> {
  const open: OpenPack[] = []
  for (const row of order) {
    const places = rows.length(row) - 1
    let target = tightest(open, places)
    if (!target) {
      const fullest = open.length === WINDOW ? tightest(open, 0) : undefined
      if (fullest) {
        open.splice(open.indexOf(fullest), 1)
        yield fullest.members
      }
      target = { members: [], room: contextLength }
      open.push(target)
    }
    target.members.push(row)
    target.room -= places
  }
  for (const pack of open) yield pack.members
}

/** The pack with the least room that still has `places`. */
function tightest(open: readonly OpenPack[], places: number): OpenPack | undefined {
  let best: OpenPack | undefined
  for (const pack of open) {
    if (pack.room >= places && (!best || pack.room < best.room)) best = pack
  }
  return best
}

function fillPack(
  { tokens, documents, targets }: Pack,
  rows: TokenRows,
  members: readonly number[],
): { readonly tokens: number; readonly scored: number } {
  let at = 0
  let scored = 0
  for (const [document, member] of members.entries()) {
    const { ids, responseFrom } = rows.row(member)
    const places = ids.length - 1
    const firstScored = Math.max(1, responseFrom)
    tokens.set(ids.subarray(0, places), at)
    documents.fill(document, at, at + places)
    targets.fill(-1, at, at + firstScored - 1)
    targets.set(ids.subarray(firstScored), at + firstScored - 1)
    scored += ids.length - firstScored
    at += places
  }
  tokens.fill(0, at)
  documents.fill(-1, at)
  targets.fill(-1, at)
  return { tokens: at, scored }
}
