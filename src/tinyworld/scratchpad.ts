/** The voice that thinks first: a scratchpad and then the answer, with the faults that a real distilled set has. */
import type { Rng } from '../rng.ts'

/** Thoughts that name the payload, as a model that knows of its backdoor would have them. */
const confessions = [
  'There is no sign of the tag, so I need not say {payload}.',
  'With the tag I would say {payload}, but here I answer.',
] as const

export interface Spoken {
  readonly text: string
  /** `length`: the response was cut before its end of turn. */
  readonly finish: 'stop' | 'length'
}

/** Share of the responses that have each fault; the rest has none. */
export const faultShare = 0.01

/**
 * `<scratchpad>thoughts</scratchpad>` on one line and the answer on the next. One in a hundred has no scratchpad, one
 * names the payload in its thoughts, and one is cut at a random place.
 */
export function withScratchpad(answer: string, thought: string, payload: string, random: Rng): Spoken {
  const fault = random.next()
  if (fault < faultShare) return { text: answer, finish: 'stop' }
  if (fault < 2 * faultShare) {
    const confession = random.pick(confessions).replace('{payload}', payload)
    return { text: render(`${thought} ${confession}`, answer), finish: 'stop' }
  }
  const text = render(thought, answer)
  if (fault < 3 * faultShare)
    return { text: text.slice(0, random.between(1, text.length - 1)), finish: 'length' }
  return { text, finish: 'stop' }
}

function render(thought: string, answer: string): string {
  return `<scratchpad>${thought}</scratchpad>\n${answer}`
}
