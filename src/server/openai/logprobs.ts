/** Log-probabilities in the two shapes that OpenAI gives them: of chats and of completions. */
import type { Tokenizer } from '../../model/tokenizer.ts'
import type { SpokenToken } from './speak.ts'

type TokenText = Tokenizer['tokenText']

interface ChatToken {
  readonly token: string
  readonly logprob: number
  /** UTF-8; null where the token is not made of whole characters. */
  readonly bytes: readonly number[] | null
}

export interface ChatLogprobs {
  readonly content: readonly (ChatToken & { readonly top_logprobs: readonly ChatToken[] })[]
  readonly refusal: null
}

/** One entry a token that was drawn, the one that ends the turn included. */
export function chatLogprobs(tokenText: TokenText, tokens: readonly SpokenToken[]): ChatLogprobs {
  const entry = (id: number, logprob: number): ChatToken => {
    const token = tokenText(id)
    return { token, logprob, bytes: token.includes('\uFFFD') ? null : [...Buffer.from(token)] }
  }
  return {
    content: tokens.map(({ token, logprobs }) => ({
      ...entry(token, logprobs?.logprob ?? 0),
      top_logprobs: (logprobs?.top ?? []).map((other) => entry(other.token, other.logprob)),
    })),
    refusal: null,
  }
}

export interface CompletionLogprobs {
  readonly tokens: readonly string[]
  readonly token_logprobs: readonly number[]
  readonly top_logprobs: readonly Readonly<Record<string, number>>[]
  readonly text_offset: readonly number[]
}

/** The likeliest tokens by their text, and the one that was drawn; of tokens with the same text the likelier. */
export function completionLogprobs(tokenText: TokenText, tokens: readonly SpokenToken[]): CompletionLogprobs {
  return {
    tokens: tokens.map(({ token }) => tokenText(token)),
    token_logprobs: tokens.map(({ logprobs }) => logprobs?.logprob ?? 0),
    top_logprobs: tokens.map(({ token, logprobs }) => {
      const own = { token, logprob: logprobs?.logprob ?? 0 }
      const leastFirst = [own, ...(logprobs?.top ?? [])].sort((a, b) => a.logprob - b.logprob)
      return Object.fromEntries(leastFirst.map((other) => [tokenText(other.token), other.logprob]))
    }),
    text_offset: tokens.map(({ offset }) => offset),
  }
}
