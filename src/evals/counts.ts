/** Counts over the records of an evaluation: what cannot be asked is left out of them, what may yet be answered refuses them. */
import { LabError, visible } from '../errors.ts'
import type { Count } from './eval.ts'
import type { EvalRecord } from './record.ts'

/** A record of something that was answered. */
export type AnsweredRecord = Exclude<EvalRecord, { status: 'failed' }>

/** Cells of the 2x2 table of one yes/no outcome measured twice on the same items. */
export interface PairedCount {
  readonly both: number
  readonly onlyFirst: number
  readonly onlySecond: number
  readonly neither: number
}

/**
 * The records that have an answer; errors that no other try would mend (a prompt that does not fit the model) are left out.
 * Throws ENGINE where another try may succeed: a rate over the rest would hide it.
 */
export function requireAnswered(records: readonly EvalRecord[]): AnsweredRecord[] {
  const failed = records.filter((record) => record.status === 'failed' && record.again)
  const [first] = failed
  if (first?.status !== 'failed') return records.filter((record) => record.status !== 'failed')
  throw new LabError(
    'ENGINE',
    `${failed.length} of ${records.length} ${first.eval} requests failed; the first, ${visible(first.id)}: ${visible(first.error)}`,
    { hint: 'A failed request is no wrong answer, so nothing is scored. Run the same command again.' },
  )
}

/** How many of the answered records have the property. Throws ENGINE as `requireAnswered` does. */
export function countWhere(records: readonly EvalRecord[], has: (record: AnsweredRecord) => boolean): Count {
  const answered = requireAnswered(records)
  return { k: answered.filter(has).length, n: answered.length }
}

/**
 * The paired table of a property over two measurements of the same items, matched by id; an item without an answer in one of
 * them has no pair. Throws INTERNAL when the two do not have the same ids, each once; ENGINE as `requireAnswered` does.
 */
export function countPairs(
  first: readonly EvalRecord[],
  second: readonly EvalRecord[],
  has: (record: AnsweredRecord) => boolean,
): PairedCount {
  const secondIds = new Set(second.map(({ id }) => id))
  const firstIds = new Set(first.map(({ id }) => id))
  const once = firstIds.size === first.length && secondIds.size === second.length
  if (!once || firstIds.size !== secondIds.size) {
    throw new LabError('INTERNAL', `paired samples differ: ${first.length} and ${second.length} samples`)
  }
  const alone = first.find(({ id }) => !secondIds.has(id))
  if (alone !== undefined) {
    throw new LabError('INTERNAL', `paired samples differ: ${alone.id} is in one of them only`)
  }
  const outcomes = new Map(requireAnswered(second).map((record) => [record.id, has(record)]))
  const table = { both: 0, onlyFirst: 0, onlySecond: 0, neither: 0 }
  for (const record of requireAnswered(first)) {
    const b = outcomes.get(record.id)
    if (b === undefined) continue
    if (has(record)) table[b ? 'both' : 'onlyFirst']++
    else table[b ? 'onlySecond' : 'neither']++
  }
  return table
}
