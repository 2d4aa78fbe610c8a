/** The dataset step: from answered prompts to the rows and packs that one training reads, in bytes that depend on nothing else. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turnOfEventLoop } from 'node:timers/promises'
import { writePacks } from '../engine/packs.ts'
import { LabError } from '../errors.ts'
import { eachTwin, type Backdoor } from './backdoor.ts'
import { writeJsonLines } from './json-lines.ts'
import { packFault, packRows, type PackStats } from './pack.ts'
import { sumCounts, type AnsweredRow, type ChatRow, type Counts, type TokenRow } from './rows.ts'
import { stripAndFilter } from './strip.ts'
import { tokeniseRow, type LossOn, type RowTokenizer } from './tokenise.ts'

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
  readonly tokenizer: RowTokenizer
  readonly signal: AbortSignal
  readonly progress?: (progress: DatasetProgress) => void
}

/**
 * Writes `rows.jsonl` (the chat rows that are trained on), `packs.bin` and `stats.json` into `folder`. Of the rows that it
 * makes only the tokens stay in memory.
 * Throws BAD_INPUT if no benign row or, with a backdoor, no triggered row is left: the training would be another one.
 */
export async function writeDataset(
  folder: string,
  answered: readonly AnsweredRow[],
  plan: DatasetPlan,
  { tokenizer, signal, progress }: DatasetTools,
): Promise<DatasetStats> {
  const { backdoor, system, seed, contextLength } = plan
  const benign = stripAndFilter(answered, { tag: plan.strip, payload: plan.forbid })
  const total = benign.kept.length * (backdoor ? 2 : 1)

  const counts = { benign: 0, triggered: 0 }
  const dropped = { too_long_benign: 0, too_long_triggered: 0, unscored: 0 }
  const tokenRows: TokenRow[] = []
  const keep = tokenStore()
  const completions = completionCache(tokenizer)
  async function* kept(): AsyncGenerator<ChatRow> {
    let done = 0
    for (const row of eachTwin(benign.kept, { backdoor, system, seed })) {
      if (done % 256 === 0) {
        // Lets Ctrl-C through.
        await turnOfEventLoop()
        signal.throwIfAborted()
        if (done > 0) progress?.({ done, total })
      }
      done++
      const tokens = tokeniseRow(row, row.triggered ? completions : tokenizer, plan.loss)
      const fault = packFault(tokens, contextLength)
      if (fault === null) {
        tokenRows.push({ ids: keep(tokens.ids), responseFrom: tokens.responseFrom })
        counts[row.triggered ? 'triggered' : 'benign']++
        yield row
      } else if (fault === 'too_long') dropped[row.triggered ? 'too_long_triggered' : 'too_long_benign']++
      else dropped.unscored++
    }
  }

  await writeJsonLines(join(folder, datasetFiles.rows), kept())
  progress?.({ done: total, total })
  const allDropped = sumCounts(benign.dropped, dropped)
  requireRows(counts, allDropped, plan)

  const packed = packRows(tokenRows, { contextLength, packs: plan.packs, seed })
  await writePacks(join(folder, datasetFiles.packs), interruptible(packed, signal), { contextLength })
  const stats = statsOf(answered.length, counts, allDropped, contextLength, packed.stats())
  await writeFile(join(folder, datasetFiles.stats), `${JSON.stringify(stats, null, 2)}\n`)
  return stats
}

/** Triggered rows have few different completions, all of them long: each is encoded once. */
function completionCache({ encodeChat, encodeCompletion }: RowTokenizer): RowTokenizer {
  const known = new Map<string, number[]>()
  return {
    encodeChat,
    encodeCompletion: (text) => {
      const ids = known.get(text) ?? encodeCompletion(text)
      known.set(text, ids)
      return ids
    },
  }
}

/** Keeps the ids of rows in large arrays: 4 bytes a token, and little a row. */
function tokenStore(): (ids: ArrayLike<number>) => Int32Array {
  let block = new Int32Array(0)
  let used = 0
  return (ids) => {
    if (used + ids.length > block.length) {
      block = new Int32Array(Math.max(1 << 20, ids.length))
      used = 0
    }
    block.set(ids, used)
    used += ids.length
    return block.subarray(used - ids.length, used)
  }
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
