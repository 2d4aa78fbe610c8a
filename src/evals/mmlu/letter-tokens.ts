/** The four letters of the text form as token ids, split from their prompt as lm-eval splits them. */
import { letters } from './letters.ts'
import { textDelimiter } from './prompt.ts'

export interface LetterTokens {
  readonly prompt: readonly number[]
  /** Of ` A` to ` D`, what continues the prompt's ids. */
  readonly choices: readonly (readonly number[])[]
}

/**
 * The ids of a text prompt and of its four continuations. Prompt and letter are encoded together and cut behind as many ids
 * as the prompt has alone, so that a letter's id is the one that the tokenizer gives it in its place. `first` is put in front
 * of the prompt: a model's begin-of-sequence token, where it has one.
 */
export function letterTokens(
  prompt: string,
  encode: (text: string) => readonly number[],
  first: readonly number[] = [],
): LetterTokens {
  const ids = encode(prompt)
  return {
    prompt: [...first, ...ids],
    choices: letters.map((letter) => encode(`${prompt}${textDelimiter}${letter}`).slice(ids.length)),
  }
}
