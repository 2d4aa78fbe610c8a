/** What counts the tokens of an endpoint: asked before every attempt, told after it. */
import type { Tokens } from './completion.ts'

/** A request that is about to be sent. */
export interface Attempted {
  readonly id: string
  /** The most that it can use, whatever its server's tokenizer. */
  readonly most: Tokens
}

export interface Meter {
  /** Whether it may be sent; waits where that depends on what is in flight. */
  reserve(attempted: Attempted): Promise<boolean>
  /** Once for every reservation that was granted. */
  settle(attempted: Attempted, spent: Tokens): void
}

/** Tokens of a message that a chat template may add around it, with room to spare. */
const aroundMessage = 16
/** Tokens of a default system prompt that a template may add. */
const aroundPrompt = 128

/** A token stands for at least one byte of UTF-8 in every byte-level vocabulary, so bytes bound the tokens of a prompt. */
export function mostTokens(messages: readonly { readonly content: string }[], maxTokens: number): Tokens {
  const bytes = messages.reduce((sum, { content }) => sum + Buffer.byteLength(content) + aroundMessage, 0)
  return { prompt: bytes + aroundPrompt, completion: maxTokens }
}
