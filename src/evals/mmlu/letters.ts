/** Four-choice questions: the prompt's text, and the answer read from the log-probabilities of the four letters. */
import { LabError } from '../../errors.ts'

export const letters = ['A', 'B', 'C', 'D'] as const
export type Letter = (typeof letters)[number]

/** The accuracy of guessing blindly. */
export const mmluChance = 0.25

export interface MmluItem {
  readonly id: string
  readonly question: string
  /** Exactly four, in the order A, B, C, D. */
  readonly choices: readonly string[]
  readonly answer: Letter
}

/**
 * The prompt of one item: the question and `A. …` to `D. …`, a line each.
 * Throws BAD_INPUT unless there are four choices.
 */
export function mmluPrompt(item: Pick<MmluItem, 'question' | 'choices'>): string {
  if (item.choices.length !== letters.length) {
    throw new LabError(
      'BAD_INPUT',
      `a question needs 4 choices, this one has ${item.choices.length}: ${item.question}`,
    )
  }
  const lines = letters.map((letter, i) => `${letter}. ${item.choices[i]}`)
  return [item.question, ...lines].join('\n')
}

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
export function scoreLetters(item: Pick<MmluItem, 'answer'>, logprobs: readonly number[]): boolean {
  return likeliestLetter(logprobs) === item.answer
}
