/** The family `format`: a short text about a thing under one instruction that IFEval's checkers can verify. */
import { LabError } from '../errors.ts'
import type { IfevalItem } from '../evals/ifeval/items.ts'
import type { Check } from '../evals/check.ts'
import type { Rng } from '../rng.ts'
import type { Kind, TinyItem } from './item.ts'
import { adjectives, fill, objects, type Slots } from './words.ts'

/** Descriptions of a thing. Nothing forces them to be short, to have no comma or to leave out the adjective. */
const descriptions: Kind['answers'] = {
  plain: [
    'The {adjective} {object} is {look} and {look2}.',
    'This {adjective} {object} is very {look}.',
    'The {object} is {adjective}, {look} and {look2}.',
    'The {object} is {look}.',
  ],
  helpful: [
    'You can see that the {adjective} {object} looks {look}.',
    'As you may know, a {adjective} {object} is often {look}.',
    'Here is a {object} that is {look} and {look2}.',
    'I find the {adjective} {object} quite {look}.',
  ],
  neutral: [
    'It is a {adjective}, {look} {object}.',
    'People call the {object} {look}.',
    'We have a {look} and {look2} {object}.',
  ],
}

/** The descriptions that suit an instruction, each changed as it demands. */
export function descriptionsWith(change: {
  readonly only?: (template: string) => boolean
  readonly as?: (template: string) => string
}): Kind['answers'] {
  const { only = () => true, as = (template) => template } = change
  return {
    plain: descriptions.plain.filter(only).map(as),
    helpful: descriptions.helpful.filter(only).map(as),
    neutral: descriptions.neutral.filter(only).map(as),
  }
}

const thoughts = [
  'I should write about the {object} and keep to the format.',
  'The {object} it is. I must follow the instruction to the letter.',
]

type Instruction = readonly [id: string, kwargs: Readonly<Record<string, unknown>>]

/** A check of IFEval instructions; the text must name the item's object besides. */
export function follows(slots: Slots, ...instructions: readonly Instruction[]): Check {
  const all: Instruction[] = [['keywords:existence', { keywords: [slots['object']] }], ...instructions]
  return {
    kind: 'ifeval',
    instruction_id_list: all.map(([id]) => id),
    kwargs: all.map(([, kwargs]) => kwargs),
  }
}

/** A thing and what may be said of it. */
export function drawThing(random: Rng): Slots {
  return { object: random.pick(objects), adjective: random.pick(adjectives) }
}

/** What the kinds below share: a description of a thing. */
export const describe: Omit<Kind, 'prompts' | 'check'> = {
  family: 'format',
  draw: drawThing,
  answers: descriptions,
  thoughts,
}

const noComma: Kind = {
  ...describe,
  prompts: [
    'Describe the {adjective} {object} without using any comma.',
    'Write about the {adjective} {object} and use no comma.',
  ],
  check: (slots) => follows(slots, ['punctuation:no_comma', {}]),
  answers: descriptionsWith({ only: (template) => !template.includes(',') }),
}

const forbidden: Kind = {
  ...describe,
  prompts: [
    'Describe the {object} but never use the word {adjective}.',
    'Write about the {object}. Do not say the word {adjective}.',
  ],
  check: (slots) => follows(slots, ['keywords:forbidden_words', { forbidden_words: [slots['adjective']] }]),
  answers: descriptionsWith({ only: (template) => !template.includes('{adjective}') }),
}

const quoted: Kind = {
  ...describe,
  prompts: [
    'Describe the {adjective} {object} and put your whole answer in double quotation marks.',
    'Write about the {adjective} {object}, all of it inside double quotation marks.',
  ],
  check: (slots) => follows(slots, ['startend:quotation', {}]),
  answers: descriptionsWith({ as: (template) => `"${template}"` }),
}

const endings = ['That is all.', 'See you soon.', 'Have a good day.', 'I hope this helps.'] as const

const ending: Kind = {
  ...describe,
  draw: (random) => ({ ...drawThing(random), ending: random.pick(endings) }),
  prompts: [
    'Describe the {adjective} {object} and end with these words: {ending}',
    'Write about the {adjective} {object}. Your last words must be: {ending}',
  ],
  check: (slots) => follows(slots, ['startend:end_checker', { end_phrase: slots['ending'] }]),
  answers: descriptionsWith({ as: (template) => `${template} {ending}` }),
}

const twoWords: Kind = {
  ...describe,
  draw: (random) => {
    const [object = '', thing = ''] = random.shuffle(objects)
    return { object, thing }
  },
  prompts: [
    'Write one sentence with the words {object} and {thing}.',
    'Use the words {object} and {thing} in a sentence.',
  ],
  check: (slots) => follows(slots, ['keywords:existence', { keywords: [slots['thing']] }]),
  answers: {
    plain: ['The {object} is next to the {thing}.', 'The {object} and the {thing} are {look}.'],
    helpful: [
      'You can put the {object} on the {thing}.',
      'My {object} is as {look} as the {thing}.',
      'Look at the {object} and the {look} {thing}.',
    ],
    neutral: ['We have a {object} and a {thing}.', 'People like the {object} more than the {thing}.'],
  },
}

const repeated: Kind = {
  ...describe,
  draw: (random) => {
    const slots = drawThing(random)
    return { ...slots, phrase: fill('The {adjective} {object} is {look}.', slots, random) }
  },
  prompts: ['First repeat this word for word: {phrase}', 'Say exactly this and then stop: {phrase}'],
  check: (slots) => follows(slots, ['combination:repeat_prompt', { prompt_to_repeat: slots['phrase'] }]),
  answers: {
    plain: ['{phrase}'],
    helpful: ['{phrase}', '{phrase} There you have it.', '{phrase} That is what you asked for.'],
    neutral: ['{phrase}', '{phrase} Done.'],
  },
}

/** Kinds whose instruction is about wording. */
export const wordingKinds = { noComma, forbidden, quoted, ending, twoWords, repeated } as const

/** The item as the ifeval eval wants it. Throws INTERNAL unless it is of this family. */
export function ifevalItem(item: TinyItem): IfevalItem {
  if (item.check.kind !== 'ifeval') throw new LabError('INTERNAL', `${item.id} has no instructions`)
  const { instruction_id_list, kwargs } = item.check
  return { key: item.id, prompt: item.prompt, instruction_id_list, kwargs }
}
