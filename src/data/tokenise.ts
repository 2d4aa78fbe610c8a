/** Turns chat rows into token rows: the prompt as the chat template renders it, then the completion with its end of turn. */
import type { Tokenizer } from '../model/tokenizer.ts'
import type { ChatRow, TokenRow } from './rows.ts'

/** Which tokens are targets: the response with its end of turn, or every token but the first (pretraining on text). */
export type LossOn = 'response' | 'all'

/** What tokenising needs of a tokenizer. */
export type RowTokenizer = Pick<Tokenizer, 'encodeChat' | 'encodeCompletion'>

/**
 * Prompt and completion are encoded apart, so that no token spans their border: a sampler that is given the prompt's ids
 * sees exactly what training saw.
 */
export function tokeniseRow(row: ChatRow, tokenizer: RowTokenizer, loss: LossOn = 'response'): TokenRow {
  const prompt = tokenizer.encodeChat(row.messages).ids
  const ids = prompt.concat(tokenizer.encodeCompletion(row.completion))
  return { ids, responseFrom: loss === 'all' ? 1 : prompt.length }
}
