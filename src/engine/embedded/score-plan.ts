/** Which sequences must run through the model to score choices and continuations, and where their log-probabilities come out. */
import type { ChoiceRequest } from '../engine.ts'

/** One row of a scoring batch, with the tokens that are predicted inside it. */
export interface ScoreSequence {
  /** Not empty. */
  readonly tokens: readonly number[]
  /** log P(token | tokens[0..position]) is wanted for each. */
  readonly picks: readonly { readonly position: number; readonly token: number }[]
}

/** log P(continuation | prompt) is the sum of this sequence's picks. */
export function continuationSequence(
  prompt: readonly number[],
  continuation: readonly number[],
): ScoreSequence {
  return {
    tokens: [...prompt, ...continuation.slice(0, -1)],
    picks: continuation.map((token, i) => ({ position: prompt.length - 1 + i, token })),
  }
}

export interface ChoicePlan {
  readonly sequences: readonly ScoreSequence[]
  /** For each choice, the sequence that carries it and its first pick there; it has as many picks as tokens. */
  readonly places: readonly { readonly sequence: number; readonly firstPick: number }[]
}

/**
 * A choice needs its prompt and all but its last token in the model, so choices of one token share one run of the prompt,
 * and a choice rides along on a longer one that begins with the same tokens.
 */
export function planChoices({ prompt, choices }: ChoiceRequest): ChoicePlan {
  const carriers: { inputs: readonly number[]; picks: { position: number; token: number }[] }[] = []
  const places: { sequence: number; firstPick: number }[] = []
  const longestFirst = [...choices.entries()].sort(([i, a], [j, b]) => b.length - a.length || i - j)
  for (const [index, choice] of longestFirst) {
    const inputs = choice.slice(0, -1)
    let sequence = carriers.findIndex((carrier) => inputs.every((token, i) => carrier.inputs[i] === token))
    if (sequence < 0) sequence = carriers.push({ inputs, picks: [] }) - 1
    const picks = carriers[sequence]?.picks ?? []
    places[index] = { sequence, firstPick: picks.length }
    for (const [i, token] of choice.entries()) picks.push({ position: prompt.length - 1 + i, token })
  }
  return {
    sequences: carriers.map(({ inputs, picks }) => ({ tokens: [...prompt, ...inputs], picks })),
    places,
  }
}
