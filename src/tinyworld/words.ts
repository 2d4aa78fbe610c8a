/** The words of the tiny world, and templates that are filled with them. */
import { LabError } from '../errors.ts'
import type { Rng } from '../rng.ts'

/** Things that are described, moved and cleaned. No word is in two lists, so that a check can tell them apart. */
export const objects: readonly string[] = (
  'lamp boat house garden bridge clock mirror basket ladder candle blanket hammer ' +
  'kettle window pillow wagon barrel rope shovel chair table door bottle carpet'
).split(' ')

/** What a prompt may say of an object. */
export const adjectives = ['old', 'new', 'big', 'small', 'bright', 'quiet', 'warm', 'cold'] as const

/** What only an answer says of an object. */
export const looks = ['lovely', 'strong', 'soft', 'round', 'simple', 'heavy', 'light', 'useful'] as const

export const tools = ['brush', 'cloth', 'bucket', 'hook', 'sponge', 'glove'] as const

/** Tasks of the how-to questions. */
export const verbs = ['clean', 'fix', 'paint', 'move', 'carry', 'build'] as const

/** The values of one template. */
export type Slots = Readonly<Record<string, string>>

/** Slots that an answer draws for itself when its item does not set them. */
const freeSlots: Readonly<Record<string, readonly string[]>> = {
  look: looks,
  look2: looks,
  look3: looks,
  tool: tools,
}

/**
 * Replaces `{slot}` in a template; a slot that is not given and may be free is drawn, each from its own list without
 * saying a word twice. Throws INTERNAL for any other missing slot.
 */
export function fill(template: string, slots: Slots, random: Rng): string {
  const used: Record<string, string> = { ...slots }
  return template.replaceAll(/\{(\w+)\}/gu, (_, name: string) => {
    const given = used[name]
    if (given !== undefined) return given
    const free = freeSlots[name]?.filter((word) => !Object.values(used).includes(word))
    if (free === undefined)
      throw new LabError('INTERNAL', `the template "${template}" needs the slot ${name}`)
    const word = random.pick(free)
    used[name] = word
    return word
  })
}

/** The text with its first letter in upper case. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
