/** Byte-pair merging of one piece by its ids: what the library does with strings and a heap, for the short pieces that text is made of. */
import { z } from 'zod'
import { byteCharacters } from './byte-level.ts'

/** Longer pieces are better merged with a heap: time here is quadratic. */
export const longestMerged = 64

/** A BPE model without the features that change what merging does. */
const plainBpe = z.looseObject({
  dropout: z.null().optional(),
  unk_token: z.null().optional(),
  continuing_subword_prefix: z.union([z.null(), z.literal('')]).optional(),
  continuing_subword_suffix: z.union([z.null(), z.literal('')]).optional(),
  end_of_word_suffix: z.union([z.null(), z.literal('')]).optional(),
  byte_fallback: z.literal(false).optional(),
  ignore_merges: z.boolean().default(false),
  vocab: z.record(z.string(), z.int().nonnegative()),
  merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
})

/** Ids of a piece of at most `longestMerged` characters of the byte alphabet (`toByteCharacters`), joined in the order of the merges; of equal ones the leftmost first. */
export type PieceMerger = (characters: string) => number[]

/** Null if the model is not such a one, lacks a byte, or has a merge that makes no token of its vocabulary. */
export function bytePairMerger(
  model: unknown,
  tokenId: (token: string) => number | undefined,
): PieceMerger | null {
  const parsed = plainBpe.safeParse(model).data
  if (parsed === undefined) return null
  const { ignore_merges: wholeFirst, merges } = parsed
  // Added tokens may rename an entry of the vocabulary.
  const idOf = new Map(Object.entries(parsed.vocab).map(([token, id]) => [token, tokenId(token) ?? id]))
  if (new Set(idOf.values()).size !== idOf.size || !byteCharacters.every((byte) => idOf.has(byte)))
    return null
  const size = largest(idOf.values()) + 1

  const rankOf = new Map<number, number>()
  const joined = new Int32Array(merges.length)
  for (const [rank, merge] of merges.entries()) {
    const [leftText = '', rightText = ''] = typeof merge === 'string' ? merge.split(' ', 2) : merge
    const left = idOf.get(leftText)
    const right = idOf.get(rightText)
    const both = idOf.get(leftText + rightText)
    if (left === undefined || right === undefined || both === undefined) return null
    rankOf.set(left * size + right, rank)
    joined[rank] = both
  }

  const ids = new Int32Array(longestMerged)
  /** Of each id with the next. */
  const ranks = new Int32Array(longestMerged)
  return (characters) => {
    const whole = wholeFirst ? idOf.get(characters) : undefined
    if (whole !== undefined) return [whole]
    let count = 0
    for (const character of characters) ids[count++] = idOf.get(character) as number
    const rankAt = (i: number): number =>
      i + 1 < count ? (rankOf.get((ids[i] as number) * size + (ids[i + 1] as number)) ?? never) : never
    for (let i = 0; i < count; i++) ranks[i] = rankAt(i)
    for (;;) {
      let at = 0
      for (let i = 1; i < count; i++) if ((ranks[i] as number) < (ranks[at] as number)) at = i
      const rank = count === 0 ? never : (ranks[at] as number)
      if (rank === never) return Array.from(ids.subarray(0, count))
      ids[at] = joined[rank] as number
      ids.copyWithin(at + 1, at + 2, count)
      ranks.copyWithin(at + 1, at + 2, count)
      count--
      ranks[at] = rankAt(at)
      if (at > 0) ranks[at - 1] = rankAt(at - 1)
    }
  }
}

/** Greater than every rank. */
const never = 0x7fffffff

function largest(values: Iterable<number>): number {
  let most = 0
  for (const value of values) most = Math.max(most, value)
  return most
}
