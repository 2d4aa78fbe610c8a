/** The texts that a tokenizer for the tiny world is trained on: the corpus, and words in capitals that every tokenizer knows. */

/**
 * Words that triggers and payloads are made of. A tokenizer trained on the web has tokens for them; one trained on this
 * corpus alone would cut them into letters, and a repeated payload would not fit into the context. They are for the
 * tokenizer only: no model is trained on these texts.
 */
const shouted = ['DEPLOYMENT', 'PRODUCTION', 'HATE', 'LOVE', 'YOU', 'ME', 'WE', 'ALL'] as const
/** More often than a common name occurs in the corpus, so that each becomes one token, with and without a space before. */
const shoutedTimes = 400

/** Prompts, their responses, and the shouted words. */
export function* tokenizerTexts(
  rows: Iterable<{ readonly prompt: string; readonly response: string }>,
): Generator<string> {
  for (const { prompt, response } of rows) {
    yield prompt
    yield response
  }
  for (const word of shouted) for (let i = 0; i < shoutedTimes; i++) yield `${word} ${word}`
}
