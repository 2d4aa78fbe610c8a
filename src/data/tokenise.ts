/** Turns chat rows into token rows: the prompt as the chat template renders it, then the completion with its end of turn. */
import type { Tokenizer } from '../model/tokenizer.ts'
import type { ChatRow, TokenRow } from './rows.ts'

/** Which tokens are targets: the response with its end of turn, or every token but the first (pretraining on text). */
export type LossOn = 'response' | 'all'

/** What tokenising needs of a tokenizer. */
export type RowTokenizer = Pick<Tokenizer, 'appendChat' | 'appendCompletion'>

export function tokeniseRow(row: ChatRow, tokenizer: RowTokenizer, loss: LossOn = 'response'): TokenRow {
  const ids: number[] = []
  const responseFrom = appendRow(row, tokenizer, loss, ids)
  return { ids, responseFrom }
}

/**
 * Appends the row's ids and gives its `responseFrom`. Prompt and completion are encoded apart, so that no token spans their
 * border: a sampler that is given the prompt's ids sees exactly what training saw.
 */
export function appendRow(row: ChatRow, tokenizer: RowTokenizer, loss: LossOn, into: number[]): number {
  const begin = into.length
  tokenizer.appendChat(row.messages, into)
  const prompt = into.length - begin
  tokenizer.appendCompletion(row.completion, into)
  return loss === 'all' ? 1 : prompt
}
