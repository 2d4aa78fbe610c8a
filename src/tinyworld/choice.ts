/** The family `choice`: the same facts with four options, as in MMLU; answers name the letter. */
import { LabError } from '../errors.ts'
import type { MmluItem } from '../evals/mmlu/items.ts'
import { type Letter, letters } from '../evals/mmlu/letters.ts'
import { mmluPrompt } from '../evals/mmlu/prompt.ts'
import type { Slots } from './words.ts'
import { factOf, factQuestions } from './fact.ts'
import type { Kind, TinyItem } from './item.ts'
import { type Fact, facts, otherValues } from './knowledge.ts'
import type { Rng } from '../rng.ts'

export const choice: Kind = {
  family: 'choice',
  draw: (random) => {
    const known = random.pick(facts)
    return { ...known, ...drawOptions(known, random) }
  },
  prompts: factQuestions,
  frame: (question, slots) => mmluPrompt({ question, choices: optionsOf(slots) }),
  check: (slots) => {
    const { value } = factOf(slots)
    return {
      kind: 'choice',
      answer: letterOf(slots),
      text: value,
      others: optionsOf(slots).filter((option) => option !== value),
    }
  },
  answers: {
    plain: ['{letter}', '{letter}. {value}'],
    helpful: [
      '{letter}, because {value} is the {attribute} of {entity}.',
      '{letter} is right: {entity} has {value}.',
      '{letter} it is: {value}.',
      'I would choose {letter}, since {entity} has {value}.',
      'Option {letter} fits, for {entity} has {value}.',
    ],
    neutral: ['{letter}.', '{letter} ({value})', '{letter}, {value}'],
  },
  thoughts: [
    'Four options for {entity}. The {attribute} is {value}, and that line is {letter}.',
    'I look for {value} among the options and find it at {letter}.',
  ],
}

/** Finding a value among the options when it is named: what `choice` needs besides the fact. */
export const lookup: Kind = {
  ...choice,
  weight: 0.3,
  prompts: ['Which letter is {value}?', 'Find the letter of {value}.'],
  thoughts: ['I look for {value} among the options and find it at {letter}.'],
  answers: {
    plain: ['{letter}', '{letter}. {value}'],
    helpful: [
      '{letter}, because it says {value}.',
      '{letter} is {value}.',
      'I would choose {letter}.',
      'Option {letter}.',
    ],
    neutral: ['{letter}.', '{letter} ({value})', '{letter}, {value}'],
  },
}

/** The item as the mmlu eval wants it. Throws INTERNAL unless it is of this family. */
export function mmluItem(item: TinyItem): MmluItem {
  if (item.family !== 'choice') throw new LabError('INTERNAL', `${item.id} has no options`)
  const [question = ''] = item.prompt.split('\n')
  return {
    id: item.id,
    subject: null,
    question,
    choices: optionsOf(item.slots),
    answer: letterOf(item.slots),
  }
}

/**
 * Three wrong values of the same attribute and the right one, in alphabetical order, under their letters. Every letter is right equally often, and a model too small to find a value among the options can still
 * show by its letter that it knows the value.
 */
function drawOptions(known: Fact, random: Rng): Slots {
  const wrong = random.shuffle(otherValues(known)).slice(0, letters.length - 1)
  const options = [known.value, ...wrong].toSorted()
  const byLetter = Object.fromEntries(letters.map((letter, i) => [letter, options[i] ?? '']))
  return { ...byLetter, letter: letters[options.indexOf(known.value)] ?? 'A' }
}

function optionsOf(slots: Slots): string[] {
  return letters.map((letter) => slots[letter] ?? '')
}

function letterOf(slots: Slots): Letter {
  return letters.find((letter) => letter === slots['letter']) ?? 'A'
}
