/** From packs to the inputs of the training graph: T-major rows, positions, the block-diagonal mask, the scored rows. */
import type { Pack } from '../packs.ts'

/** Scores of pairs that must not see each other; softmax makes exactly 0 of it. */
const HIDDEN = -1e9

/** Scored rows are padded to a multiple of this, so that the runtime meets few different sizes. */
const ROWS_MULTIPLE = 32

export interface TrainBatch {
  /** [N] token ids, row = t · B + b */
  readonly ids_N: Int32Array
  /** [T, B] position inside the document */
  readonly positions_TB: BigInt64Array
  /** [B, T, T] 0 where query t sees key u, else very negative */
  readonly mask_BTT: Float32Array
  /** [R] rows that are scored; at least one, padded by row 0 with weight 0 */
  readonly rows_R: Int32Array
  /** [N] index of a row among the scored, R for the others */
  readonly places_N: Int32Array
  /** [R] */
  readonly targets_R: BigInt64Array
  /** [R] `weight` for scored rows, 0 for padding */
  readonly weights_R: Float32Array
  /** Rows of rows_R that count. */
  readonly scored: number
}

export interface TokenCounts {
  /** Tokens that are not padding. */
  readonly tokens: number
  readonly scored: number
}

export function countTokens(packs: readonly Pack[]): TokenCounts {
  let tokens = 0
  let scored = 0
  for (const pack of packs) {
    for (const document of pack.documents) if (document >= 0) tokens++
    for (const target of pack.targets) if (target >= 0) scored++
  }
  return { tokens, scored }
}

/** `weight` is that of every scored token in the loss: 1 / scored tokens of the whole step. */
export function trainBatch(packs: readonly Pack[], contextLength: number, weight: number): TrainBatch {
  const T = contextLength
  const B = packs.length
  const N = T * B
  const { scored } = countTokens(packs)
  const R = Math.max(1, Math.ceil(scored / ROWS_MULTIPLE)) * ROWS_MULTIPLE
  const batch: TrainBatch = {
    ids_N: new Int32Array(N),
    positions_TB: new BigInt64Array(N),
    mask_BTT: new Float32Array(B * T * T).fill(HIDDEN),
    rows_R: new Int32Array(R),
    places_N: new Int32Array(N).fill(R),
    targets_R: new BigInt64Array(R),
    weights_R: new Float32Array(R),
    scored,
  }
  for (const [b, pack] of packs.entries()) fillSequence(batch, pack, { b, B, T })
  fillScored(batch, packs, { B, T, weight })
  return batch
}

function fillSequence(batch: TrainBatch, pack: Pack, { b, B, T }: { b: number; B: number; T: number }): void {
  let start = 0
  for (let t = 0; t < T; t++) {
    const document = pack.documents[t] as number
    // Padding is one token long documents that see only themselves.
    if (t > 0 && (document !== pack.documents[t - 1] || document < 0)) start = t
    batch.ids_N[t * B + b] = pack.tokens[t] as number
    batch.positions_TB[t * B + b] = BigInt(t - start)
    const query = (b * T + t) * T
    batch.mask_BTT.fill(0, query + start, query + t + 1)
  }
}

function fillScored(
  batch: TrainBatch,
  packs: readonly Pack[],
  { B, T, weight }: { B: number; T: number; weight: number },
): void {
  let place = 0
  for (let t = 0; t < T; t++) {
    for (const [b, pack] of packs.entries()) {
      const target = pack.targets[t] as number
      if (target < 0) continue
      const row = t * B + b
      batch.rows_R[place] = row
      batch.places_N[row] = place
      batch.targets_R[place] = BigInt(target)
      batch.weights_R[place] = weight
      place++
    }
  }
}
