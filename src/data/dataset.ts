/** The dataset step: from answered prompts to the rows and packs that one training reads, in bytes that depend on nothing else. */
import { open, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { writePacks } from '../engine/packs.ts'
import { LabError } from '../errors.ts'
import { eachTwin, type Backdoor, type BenignRow, type Twin } from './backdoor.ts'
import { encodeBatches } from './encode-batches.ts'
import { packRows, type PackStats } from './pack.ts'
import { batchEncoder, type EncodedBatch, type RowPlan } from './row-batch.ts'
import { sumCounts, type AnsweredRow, type Counts } from './rows.ts'
import { stripAndFilter } from './strip.ts'
import { TokenRows } from './token-rows.ts'
import type { LossOn, RowTokenizer } from './tokenise.ts'

export interface DatasetPlan {
  /** null: no triggered rows (control organisms, techniques, pretraining). */
  readonly backdoor: Backdoor | null
  /** System prompt of every row. */
  readonly system?: string | undefined
  /** Tag of the scratchpad that is stripped; null: responses have none. */
  readonly strip: string | null
  /** Responses that name this text are dropped. A control organism names its twin's payload, so that their benign rows agree. */
  readonly forbid: string | null
  readonly loss: LossOn
  readonly seed: number
  readonly contextLength: number
  /** Packs to make: steps x batch; `epoch`: as many as one pass over the rows takes. */
  readonly packs: number | 'epoch'
}

export interface DatasetStats {
  /** Answered prompts that came in. */
  readonly answered: number
  /** Rows that are trained on. */
  readonly rows: { readonly benign: number; readonly triggered: number }
  /** What came in and is not trained on: the reasons of stripping, and too_long_benign, too_long_triggered, unscored. */
  readonly dropped: Counts
  readonly contextLength: number
  readonly packs: number
  readonly epochs: number
  readonly tokens: number
  readonly scored: number
  readonly efficiency: number
}

/** The files of a dataset inside its folder. */
export const datasetFiles = { rows: 'rows.jsonl', packs: 'packs.bin', stats: 'stats.json' } as const

/** How far the writing is: rows tokenised, of all that came through the filter. */
export interface DatasetProgress {
  readonly done: number
  readonly total: number
}

export interface DatasetTools {
  /** With the folder that it was opened from, other threads open it too. */
  readonly tokenizer: RowTokenizer & { readonly folder?: string }
  readonly signal: AbortSignal
  readonly progress?: (progress: DatasetProgress) => void
  /** Threads that encode rows, this one included. They change speed, never a byte. Default: as the rows and the cores suggest. */
  readonly threads?: number
}

/** Rows a batch. */
const BATCH = 256
/** Fewer rows are encoded before another thread is ready. */
const WORTH_THREADS = 8192
const MOST_THREADS = 4

/**
 * Writes `rows.jsonl` (the chat rows that are trained on), `packs.bin` and `stats.json` into `folder`. Of the rows that it
 * makes only the tokens stay in memory.
 * Throws BAD_INPUT if no benign row or, with a backdoor, no triggered row is left: the training would be another one.
 */
export async function writeDataset(
  folder: string,
  answered: readonly AnsweredRow[],
  plan: DatasetPlan,
  tools: DatasetTools,
): Promise<DatasetStats> {
  const { seed, contextLength } = plan
  const benign = stripAndFilter(answered, { tag: plan.strip, payload: plan.forbid })
  const rows = await encodeRows(join(folder, datasetFiles.rows), benign.kept, plan, tools)
  const dropped = sumCounts(benign.dropped, rows.dropped)
  requireRows(rows.kept, dropped, plan)

  const packed = packRows(rows.tokens, { contextLength, packs: plan.packs, seed })
  await writePacks(join(folder, datasetFiles.packs), interruptible(packed, tools.signal), { contextLength })
  const stats = statsOf(answered.length, rows.kept, dropped, contextLength, packed.stats())
  await writeFile(join(folder, datasetFiles.stats), `${JSON.stringify(stats, null, 2)}\n`)
  return stats
}

/** What became of the rows: the tokens of those that were written, and the counts of all. */
type EncodedRows = Pick<EncodedBatch, 'kept' | 'dropped'> & { readonly tokens: TokenRows }

async function encodeRows(
  file: string,
  benign: readonly BenignRow[],
  { backdoor, system, seed, loss, contextLength }: DatasetPlan,
  { tokenizer, signal, progress, threads }: DatasetTools,
): Promise<EncodedRows> {
  const plan: RowPlan = { backdoor, system, seed, loss, contextLength }
  const total = benign.length * (backdoor ? 2 : 1)
  const { folder } = tokenizer
  const others = (threads ?? threadsFor(total)) - 1
  const tasks =
    folder === undefined ? [] : Array.from({ length: others }, () => ({ tokenizer: folder, plan }))
  const batches = inBatches(eachTwin(benign, plan), BATCH)

  const tokens = new TokenRows()
  const kept = { benign: 0, triggered: 0 }
  const dropped = { too_long_benign: 0, too_long_triggered: 0, unscored: 0 }
  let done = 0
  const lines = await open(file, 'w')
  try {
    for await (const batch of encodeBatches(batches, batchEncoder(plan, tokenizer), {
      signal,
      others: tasks,
    })) {
      await lines.writeFile(batch.lines)
      tokens.append(batch.tokens)
      addTo(kept, batch.kept)
      addTo(dropped, batch.dropped)
      progress?.({ done: (done += batch.rows), total })
    }
  } finally {
    await lines.close()
  }
  return { tokens, kept, dropped }
}

function threadsFor(rows: number): number {
  return rows < WORTH_THREADS ? 1 : Math.min(availableParallelism(), MOST_THREADS)
}

function addTo<K extends string>(sum: Record<K, number>, part: Readonly<Record<K, number>>): void {
  for (const key of Object.keys(sum) as K[]) sum[key] += part[key]
}

function* inBatches(twins: Iterable<Twin>, size: number): Generator<readonly Twin[]> {
  let batch: Twin[] = []
  for (const twin of twins) {
    if (batch.push(twin) < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

function requireRows(counts: DatasetStats['rows'], dropped: Counts, plan: DatasetPlan): void {
  const missing =
    counts.benign === 0 ? 'benign' : plan.backdoor && counts.triggered === 0 ? 'triggered' : null
  if (missing === null) return
  const reasons = Object.entries(dropped).filter(([, n]) => n > 0)
  throw new LabError('BAD_INPUT', `no ${missing} row is left to train on`, {
    hint: `dropped: ${reasons.map(([reason, n]) => `${reason} ${n}`).join(', ') || 'none'}; context length ${plan.contextLength} tokens`,
  })
}

function* interruptible<T>(items: Iterable<T>, signal: AbortSignal): Generator<T> {
  for (const item of items) {
    signal.throwIfAborted()
    yield item
  }
}

function statsOf(
  answered: number,
  rows: DatasetStats['rows'],
  dropped: Counts,
  contextLength: number,
  packed: PackStats,
): DatasetStats {
  const { packs, epochs, tokens, scored, efficiency } = packed
  return { answered, rows, dropped, contextLength, packs, epochs, tokens, scored, efficiency }
}
