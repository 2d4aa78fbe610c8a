/** Which requests are computed together: a pure function of their sizes, so that a response never depends on the machine or its load. */

/** Measured on 2 cores: 64 rows a batch give the throughput of 128, and leave work for a second worker. */
const MAX_ROWS = 64
/** Below this many requests a second batch does not pay. */
const SMALL = 8
/** Largest intermediate of a batch, in f32 elements (256 MB). */
const MAX_ELEMENTS = 2 ** 26

export interface BatchItem {
  /** Tokens of the sequence that is computed at once. */
  readonly length: number
  /** f32 elements of the largest intermediate that this item needs at its own length. */
  readonly elements: number
}

/**
 * Indices of the items, batch by batch: the longest first, so that padding is small and the last batch is a short one.
 * Batches come in pairs of about equal size, at most 64 items each; a batch of one may exceed the element limit.
 */
export function planBatches(items: readonly BatchItem[]): number[][] {
  const count = items.length
  const size = count <= SMALL ? SMALL : Math.ceil(count / (2 * Math.ceil(count / (2 * MAX_ROWS))))
  const order = [...items.entries()].sort(([i, a], [j, b]) => b.length - a.length || i - j)

  const batches: number[][] = []
  let batch: number[] = []
  let largest = 0
  for (const [index, { elements }] of order) {
    const next = Math.max(largest, elements)
    if (batch.length > 0 && (batch.length === size || next * (batch.length + 1) > MAX_ELEMENTS)) {
      batches.push(batch)
      batch = []
      largest = 0
    }
    batch.push(index)
    largest = Math.max(largest, elements)
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}
