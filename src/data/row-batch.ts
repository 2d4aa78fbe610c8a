/** A batch of a dataset's rows, from questions to lines of text and tokens: plain data in, plain data out, so that any thread makes the same of it. */
import { twinWriter, type Twin, type TwinOptions } from './backdoor.ts'
import { packFault } from './pack.ts'
import type { TokenBlock } from './token-rows.ts'
import { tokeniseRow, type LossOn, type RowTokenizer } from './tokenise.ts'

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
  const text = new TextEncoder()
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
      const tokens = tokeniseRow(row, row.triggered ? completions : tokenizer, loss)
      const fault = packFault(tokens, contextLength)
      if (fault === 'too_long') dropped[`too_long_${kind}`]++
      else if (fault === 'unscored') dropped.unscored++
      else {
        kept[kind]++
        lines += `${JSON.stringify(row)}\n`
        for (const id of tokens.ids) ids.push(id)
        lengths.push(tokens.ids.length)
        starts.push(tokens.responseFrom)
      }
    }
    const tokens = {
      ids: new Int32Array(ids),
      lengths: new Int32Array(lengths),
      responseFrom: new Int32Array(starts),
    }
    return { rows: batch.length, lines: text.encode(lines), tokens, kept, dropped }
  }
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
