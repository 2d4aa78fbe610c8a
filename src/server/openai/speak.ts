/** One choice of a response as it is generated: certain text, cut at stop texts, and the tokens that it was made of. */
import type { Draw, Sampler, StreamRequest } from '../../engine/engine.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { StopTexts } from './stop-texts.ts'
import { TextOfTokens } from './text-of-tokens.ts'

/** A token with log-probabilities, if they are wanted. */
export interface SpokenToken {
  readonly token: number
  readonly logprobs: Draw['logprobs']
  /** Characters of the choice before it. */
  readonly offset: number
}

export interface Piece {
  readonly text: string
  /** Tokens that begin in the text so far; those of a stop text and the one that ends the turn come with the last piece. */
  readonly tokens: readonly SpokenToken[]
  /** Tokens that were drawn so far, the one that ends the turn and those of a stop text included. */
  readonly drawn: number
  /** Not null in the last piece, and in no other. */
  readonly finish: 'stop' | 'length' | null
}

export interface Speech {
  readonly request: StreamRequest
  readonly stops: readonly string[]
}

/** Pieces, at least one; a piece without text or tokens is left out. */
export async function* speak(
  { sampler, tokenizer }: { readonly sampler: Sampler; readonly tokenizer: Tokenizer },
  { request, stops }: Speech,
  signal: AbortSignal,
): AsyncGenerator<Piece, void, undefined> {
  const decoder = new TextOfTokens(tokenizer.decode)
  const text = new StopTexts(stops)
  let tokens: SpokenToken[] = []
  let drawn = 0
  const pieceUpTo = (length: number, finish: Piece['finish']): Piece => {
    const certain = tokens.filter(({ offset }) => offset < length)
    tokens = tokens.filter(({ offset }) => offset >= length)
    return { text: text.release(length), tokens: certain, drawn, finish }
  }
  const lastUpTo = (length: number, finish: Piece['finish']): Piece => {
    const piece = pieceUpTo(length, finish)
    return { ...piece, tokens: [...piece.tokens, ...tokens] }
  }
  const last = (finish: Piece['finish']): Piece => {
    const { length, stopped } = text.push(decoder.end())
    return stopped ? lastUpTo(length, 'stop') : lastUpTo(text.length, finish)
  }
  for await (const { token, finish, logprobs } of sampler.stream(request, { signal })) {
    drawn++
    tokens.push({ token, logprobs, offset: text.length })
    if (finish === 'stop') return yield last('stop')
    const { length, stopped } = text.push(decoder.push(token))
    if (stopped) return yield lastUpTo(length, 'stop')
    if (finish === 'length') return yield last('length')
    const piece = pieceUpTo(length, null)
    if (piece.text !== '' || piece.tokens.length > 0) yield piece
  }
  // Nothing was to be drawn.
  yield last('length')
}
