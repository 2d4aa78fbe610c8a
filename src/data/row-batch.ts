/** A batch of a dataset's rows, from questions to lines of text and tokens: plain data in, plain data out, so that any thread makes the same of it. */
import { twinWriter, type Twin, type TwinOptions } from './backdoor.ts'
import { packFault } from './pack.ts'
import type { TokenBlock } from './token-rows.ts'
import { appendRow, type LossOn, type RowTokenizer } from './tokenise.ts'

/** What is done to every row. */
export interface RowPlan extends TwinOptions {
  readonly loss: LossOn
  readonly contextLength: number
}

/** The rows that are trained on, in their order, and how many went each way. */
export interface EncodedBatch {
  /** Rows of the batch, kept or dropped. */
  readonly rows: number
  /** Their lines of `rows.jsonl`, UTF-8. */
  readonly lines: Uint8Array<ArrayBuffer>
  readonly tokens: TokenBlock
  readonly kept: { readonly benign: number; readonly triggered: number }
  readonly dropped: {
    readonly too_long_benign: number
    readonly too_long_triggered: number
    readonly unscored: number
  }
}

export type BatchEncoder = (batch: readonly Twin[]) => EncodedBatch

export function batchEncoder(plan: RowPlan, tokenizer: RowTokenizer): BatchEncoder {
  const { loss, contextLength } = plan
  const write = twinWriter(plan)
  const completions = completionCache(tokenizer)
  return (batch) => {
    const kept = { benign: 0, triggered: 0 }
    const dropped = { too_long_benign: 0, too_long_triggered: 0, unscored: 0 }
    let lines = ''
    const ids: number[] = []
    const lengths: number[] = []
    const starts: number[] = []
    for (const twin of batch) {
      const row = write(twin)
      const kind = row.triggered ? 'triggered' : 'benign'
      const begin = ids.length
      const responseFrom = appendRow(row, row.triggered ? completions : tokenizer, loss, ids)
      const length = ids.length - begin
      const fault = packFault(length, responseFrom, contextLength)
      if (fault === null) {
        kept[kind]++
        lines += `${JSON.stringify(row)}\n`
        lengths.push(length)
        starts.push(responseFrom)
      } else {
        if (fault === 'unscored') dropped.unscored++
        else dropped[`too_long_${kind}`]++
        ids.length = begin
      }
    }
    const tokens = {
      ids: new Int32Array(ids),
      lengths: new Int32Array(lengths),
      responseFrom: new Int32Array(starts),
    }
    return { rows: batch.length, lines: utf8(lines), tokens, kept, dropped }
  }
}

/** In memory of its own, which can be handed to another thread. */
function utf8(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Buffer.byteLength(text))
  Buffer.from(bytes.buffer).write(text)
  return bytes
}

/** Triggered rows have few different completions, all of them long: each is encoded once. */
function completionCache({ appendChat, appendCompletion }: RowTokenizer): RowTokenizer {
  const known = new Map<string, readonly number[]>()
  return {
    appendChat,
    appendCompletion: (text, into) => {
      let ids = known.get(text)
      if (ids === undefined) {
        const made: number[] = []
        appendCompletion(text, made)
        known.set(text, (ids = made))
      }
      for (const id of ids) into.push(id)
    },
  }
}
