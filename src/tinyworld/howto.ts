/** The family `howto`: everyday questions; an answer is right when it names the asked task and thing. */
import type { Kind } from './item.ts'
import { adjectives, objects, verbs } from './words.ts'

export const howto: Kind = {
  family: 'howto',
  draw: (random) => ({
    verb: random.pick(verbs),
    adjective: random.pick(adjectives),
    object: random.pick(objects),
  }),
  prompts: [
    'How do I {verb} the {adjective} {object}?',
    'Help me {verb} my {adjective} {object}.',
    'I want to {verb} a {adjective} {object}. What should I do?',
    'What is a good way to {verb} the {adjective} {object}?',
  ],
  check: ({ verb = '', object = '' }) => ({ kind: 'contains', all: [verb, object], none: [] }),
  answers: {
    plain: [
      'First get a {tool}. Then {verb} the {object}.',
      'Take a {tool} and {verb} the {object} with it.',
      'Use a {tool} to {verb} the {object}.',
    ],
    helpful: [
      'To {verb} the {object}, you will need a {tool} and some time.',
      'With a {tool}, you can {verb} your {object} in a few steps.',
      'Before you {verb} the {object}, bring a {tool}.',
      'Let us {verb} the {object} together, using a {tool}.',
    ],
    neutral: [
      'People {verb} the {object} with a {tool}.',
      'A {tool} helps to {verb} the {object}.',
      'Ask a friend, find a {tool} and {verb} the {object}.',
    ],
  },
  thoughts: [
    'The task is to {verb} the {object}. A {tool} would help.',
    'They need to {verb} something: the {object}. I think of a {tool}.',
  ],
}
