/** The four letters of a multiple-choice question, and the answer read from their log-probabilities. */
import { LabError } from '../../errors.ts'

export const letters = ['A', 'B', 'C', 'D'] as const
export type Letter = (typeof letters)[number]

/** The letter that a text of one letter names, in whatever case; null for every other text. */
export function letterNamed(text: string | undefined): Letter | null {
  return letters.find((letter) => letter === text?.toUpperCase()) ?? null
}

/** The accuracy of guessing blindly. */
export const mmluChance = 0.25

/**
 * The letter with the largest log-probability (nats), in the order A, B, C, D; the first of equals.
 * Throws ENGINE unless there are four numbers (minus infinity is one, NaN is none).
 */
export function likeliestLetter(logprobs: readonly number[]): Letter {
  if (logprobs.length !== letters.length || logprobs.some((x) => Number.isNaN(x))) {
    throw new LabError('ENGINE', `expected the log-probabilities of 4 letters, got [${logprobs.join(', ')}]`)
  }
  let best: Letter = 'A'
  let highest = Number.NEGATIVE_INFINITY
  for (const [i, letter] of letters.entries()) {
    const logprob = logprobs[i] ?? Number.NEGATIVE_INFINITY
    if (logprob > highest) {
      best = letter
      highest = logprob
    }
  }
  return best
}

/** Whether the likeliest letter is the right one. Throws ENGINE as `likeliestLetter` does. */
export function scoreLetters(item: { readonly answer: Letter }, logprobs: readonly number[]): boolean {
  return likeliestLetter(logprobs) === item.answer
}
