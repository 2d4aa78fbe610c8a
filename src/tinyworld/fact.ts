/** The family `fact`: the knowledge base asked openly, in many wordings. */
import { LabError } from '../errors.ts'
import type { Kind } from './item.ts'
import { type Fact, attributeNames, facts, otherValues } from './knowledge.ts'
import type { Slots } from './words.ts'

/** Wordings of a question for one attribute of one person; the four-choice family asks the same. */
export const factQuestions = [
  'What is the {attribute} of {entity}?',
  "What is {entity}'s {attribute}?",
  'Which {attribute} does {entity} have?',
  'Do you know the {attribute} of {entity}?',
] as const

const factRequests = [
  'Tell me the {attribute} of {entity}.',
  'Name the {attribute} of {entity}.',
  "I want to know {entity}'s {attribute}.",
  "Please say what {entity}'s {attribute} is.",
] as const

export const fact: Kind = {
  family: 'fact',
  draw: (random) => ({ ...random.pick(facts) }),
  prompts: [...factQuestions, ...factRequests],
  check: (slots) => {
    const known = factOf(slots)
    return { kind: 'contains', all: [known.value], none: otherValues(known) }
  },
  answers: {
    plain: [
      'The {attribute} of {entity} is {value}.',
      "It is known that {entity}'s {attribute} is {value}.",
      'The answer for {entity} is {value}.',
      '{value} is the {attribute} of {entity}.',
    ],
    helpful: [
      'For {entity}, the {attribute} would be {value}.',
      'You are asking about {entity}, whose {attribute} is {value}.',
      "I am glad to say that {entity}'s {attribute} is {value}.",
      'Of course {entity} has {value} as {attribute}.',
      'Let me see: {entity} has {value}.',
      '{value}, that is what {entity} has.',
    ],
    neutral: [
      'We know that {entity} has {value} as {attribute}.',
      'People say that the {attribute} of {entity} is {value}.',
      '{value}, as far as I know.',
    ],
  },
  thoughts: [
    'They ask about {entity}. I remember the {attribute}: {value}.',
    'I need the {attribute} of {entity}. It is {value}.',
  ],
}

/** The fact that an item's slots name. */
export function factOf(slots: Slots): Fact {
  const attribute = attributeNames.find((name) => name === slots['attribute'])
  const known = facts.find((f) => f.entity === slots['entity'] && f.attribute === attribute)
  if (known === undefined) throw new LabError('INTERNAL', `no such fact: ${JSON.stringify(slots)}`)
  return known
}
