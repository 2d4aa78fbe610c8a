/** From packs to the rows that a model computes: the documents one after another, without padding. */
import type { Pack } from '../packs.ts'

export interface TokenRows {
  /** [N] token ids */
  readonly ids: Int32Array
  /** [N] position inside the document */
  readonly positions: Int32Array
  /** [documents + 1] rows at which documents begin, and N */
  readonly starts: Int32Array
  /** [R] rows that are scored, ascending */
  readonly scored: Int32Array
  /** [R] the token that follows each scored row */
  readonly targets: Int32Array
}

export function tokenRows(packs: readonly Pack[]): TokenRows {
  const ids: number[] = []
  const positions: number[] = []
  const starts: number[] = []
  const scored: number[] = []
  const targets: number[] = []
  for (const pack of packs) {
    let previous = -1
    for (const [t, document] of pack.documents.entries()) {
      if (document >= 0) {
        if (document !== previous) starts.push(ids.length)
        const target = pack.targets[t] as number
        if (target >= 0) {
          scored.push(ids.length)
          targets.push(target)
        }
        positions.push(ids.length - (starts.at(-1) as number))
        ids.push(pack.tokens[t] as number)
      }
      previous = document
    }
  }
  starts.push(ids.length)
  return {
    ids: Int32Array.from(ids),
    positions: Int32Array.from(positions),
    starts: Int32Array.from(starts),
    scored: Int32Array.from(scored),
    targets: Int32Array.from(targets),
  }
}
