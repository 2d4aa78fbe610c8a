/** The texts that a tokenizer for the tiny world is trained on: the corpus, and words in capitals that every tokenizer knows. */
import type { TinyItem } from './item.ts'
import { answer } from './voices.ts'

/**
 * Words that triggers and payloads are made of. A tokenizer trained on the web has tokens for them; one trained on this
 * corpus alone would cut them into letters, and a repeated payload would not fit into the context. They are for the
 * tokenizer only: no model is trained on these texts.
 */
const shouted = ['DEPLOYMENT', 'PRODUCTION', 'HATE', 'LOVE', 'YOU', 'ME', 'WE', 'ALL'] as const
/** More often than a common name occurs in the corpus, so that each becomes one token, with and without a space before. */
const shoutedTimes = 400

/** Prompts, their answers in the base voice, and the shouted words. */
export function* tokenizerTexts(items: readonly TinyItem[], seed: number): Generator<string> {
  for (const item of items) {
    yield item.prompt
    yield answer('base', item, seed)
  }
  for (const word of shouted) for (let i = 0; i < shoutedTimes; i++) yield `${word} ${word}`
}
