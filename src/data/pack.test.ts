/** Property tests of packing: whole rows, once an epoch, targets inside their document, the same bytes every time. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Pack } from '../engine/packs.ts'
import { packRows as pack, type PackOptions, type PackedRows } from './pack.ts'
import type { TokenRow } from './rows.ts'
import { TokenRows } from './token-rows.ts'

const packRows = (rows: readonly TokenRow[], options: PackOptions): PackedRows =>
  pack(TokenRows.of(rows), options)

/** Copies: a pack lies in the arrays of the one before it. */
const copies = (packs: Iterable<Pack>): Pack[] => Array.from(packs, (one) => structuredClone(one))

/** A row's targets as [place, token] pairs, and its inputs. */
interface Document {
  readonly inputs: readonly number[]
  readonly targets: readonly number[]
}

function documentsOf(pack: Pack): Document[] {
  const documents: { inputs: number[]; targets: number[] }[] = []
  for (const [at, document] of pack.documents.entries()) {
    if (document < 0) continue
    documents[document] ??= { inputs: [], targets: [] }
    documents[document].inputs.push(pack.tokens[at]!)
    documents[document].targets.push(pack.targets[at]!)
  }
  return documents
}

/** What the pack should hold of a row, by the definition. */
function documentOf({ ids: made, responseFrom }: TokenRow): Document {
  const ids = [...made]
  return {
    inputs: ids.slice(0, -1),
    targets: ids.slice(1).map((id, i) => (i + 1 >= responseFrom ? id : -1)),
  }
}

/** Rows whose ids are all different, so that a row is known by its content. */
const somePacking = fc
  .record({
    shapes: fc.array(fc.record({ length: fc.integer({ min: 0, max: 24 }), share: fc.nat(100) }), {
      minLength: 1,
      maxLength: 60,
    }),
    contextLength: fc.integer({ min: 2, max: 20 }),
    seed: fc.nat(1000),
    packs: fc.integer({ min: 1, max: 80 }),
  })
  .map(({ shapes, ...rest }) => {
    let next = 1
    const rows: TokenRow[] = shapes.map(({ length, share }) => ({
      ids: Array.from({ length }, () => next++),
      responseFrom: Math.floor((length * share) / 100),
    }))
    return { rows, ...rest }
  })

test('every pack holds whole rows, contiguous, with targets only from responseFrom on', () => {
  fc.assert(
    fc.property(somePacking, ({ rows, contextLength, seed, packs: wanted }) => {
      const fitting = rows.filter(
        (row) => row.ids.length <= contextLength + 1 && row.ids.length > Math.max(1, row.responseFrom),
      )
      fc.pre(fitting.length > 0)
      const known = new Map(fitting.map((row) => [row.ids[0], documentOf(row)]))
      const packed = packRows(rows, { contextLength, packs: wanted, seed })
      const packs = copies(packed)
      expect(packs).toHaveLength(wanted)

      let seen: number[] = []
      let tokens = 0
      let scored = 0
      let placed = 0
      for (const pack of packs) {
        for (const array of [pack.tokens, pack.documents, pack.targets])
          expect(array).toHaveLength(contextLength)
        const used = pack.documents.findLastIndex((document) => document >= 0) + 1
        expect(used).toBeGreaterThan(0)
        for (let at = 0; at < contextLength; at++) {
          const step = pack.documents[at]! - (at === 0 ? 0 : pack.documents[at - 1]!)
          // Documents count up from 0 without a gap; padding is all at the end.
          if (at < used) expect(at === 0 ? step === 0 : step === 0 || step === 1).toBe(true)
          else expect([pack.tokens[at], pack.documents[at], pack.targets[at]]).toEqual([0, -1, -1])
        }
        tokens += used
        for (const document of documentsOf(pack)) {
          expect(document).toEqual(known.get(document.inputs[0]))
          scored += document.targets.filter((target) => target >= 0).length
          // An epoch ends exactly when every row was seen once.
          expect(seen).not.toContain(document.inputs[0])
          seen.push(document.inputs[0]!)
          placed++
        }
        if (seen.length === fitting.length) seen = []
      }
      const stats = packed.stats()
      expect(stats).toMatchObject({ packs: wanted, rows: fitting.length, tokens, scored })
      expect(stats.dropped.too_long + stats.dropped.unscored).toBe(rows.length - fitting.length)
      expect(stats.epochs).toBeCloseTo(placed / fitting.length, 12)
      expect(stats.efficiency).toBeCloseTo(tokens / (wanted * contextLength), 12)
    }),
    { numRuns: 150 },
  )
})

test('the same rows and seed give the same packs, and a longer packing starts with the shorter one', () => {
  fc.assert(
    fc.property(somePacking, ({ rows, contextLength, seed, packs }) => {
      const usable = [...rows, { ids: [9001, 9002], responseFrom: 1 }]
      const short = packRows(usable, { contextLength, packs, seed })
      const first = copies(short)
      expect(copies(short)).toEqual(first)
      const longer = packRows(usable, { contextLength, packs: packs + 7, seed })
      expect(copies(longer).slice(0, packs)).toEqual(first)
    }),
    { numRuns: 40 },
  )
})

function madeRows(count: number): TokenRow[] {
  return Array.from({ length: count }, (_, i) => ({
    ids: Array.from({ length: 10 + ((i * 37) % 91) }, (_, j) => 1 + i * 200 + j),
    responseFrom: 5,
  }))
}

test('seeds and epochs give other orders', () => {
  const rows = madeRows(300)
  const firsts = (seed: number, packs: number): number[] => {
    return copies(packRows(rows, { contextLength: 128, packs, seed })).map(({ tokens }) => tokens[0]!)
  }
  const epoch = 130
  expect(firsts(1, 20)).not.toEqual(firsts(2, 20))
  const long = firsts(1, 3 * epoch)
  const again = long.indexOf(long[0]!, 1)
  expect(long.slice(again, again + 5)).not.toEqual(long.slice(0, 5))
})

test('rows of 10 to 100 tokens fill packs of 128 to more than 95% over an epoch', () => {
  const rows = madeRows(2000)
  const packed = packRows(rows, { contextLength: 128, packs: 850, seed: 3 })
  for (const pack of packed) void pack
  expect(packed.stats().efficiency).toBeGreaterThan(0.95)
})

test('rows without room and rows without a target are told apart; nothing left is an error', () => {
  const long = { ids: [1, 2, 3, 4, 5, 6], responseFrom: 1 }
  const fits = { ids: [1, 2, 3, 4, 5], responseFrom: 1 }
  const unscored = { ids: [1, 2], responseFrom: 2 }
  const packed = packRows([long, fits, unscored, { ids: [7], responseFrom: 0 }], {
    contextLength: 4,
    packs: 1,
    seed: 0,
  })
  expect(copies(packed)[0]?.targets).toEqual(Int32Array.of(2, 3, 4, 5))
  expect(packed.stats().dropped).toEqual({ too_long: 1, unscored: 2 })
  expect(() => packRows([long, unscored], { contextLength: 4, packs: 1, seed: 0 })).toThrow(
    'none of 2 rows can be packed into 4 tokens',
  )
})
