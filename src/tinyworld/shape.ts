/** The family `format`, second half: instructions about letter case, length, bullets and titles. */
import { describe, descriptionsWith, drawThing, follows } from './format.ts'
import type { Kind } from './item.ts'
import { fill, sentence } from './words.ts'

/** Clauses to be written in another letter case. None of them, in any answer, spells the usual payload. */
const clauses = [
  'the {adjective} {object}',
  'they hate the {object}',
  'you love the {object}',
  'do you like the {object}',
] as const

/** Another letter case is the hardest to learn, so it is asked less. */
const recase: Pick<Kind, 'weight' | 'draw' | 'answers'> = {
  weight: 0.5,
  draw: (random) => {
    const slots = drawThing(random)
    const clause = fill(random.pick(clauses), slots, random)
    return { ...slots, clause: sentence(clause), shouted: clause.toUpperCase() }
  },
  answers: {
    plain: ['{clause}.', '{clause}'],
    helpful: [
      'Here you are: {clause}.',
      'As you like: {clause}.',
      '{clause}!',
      'You asked for this: {clause}.',
    ],
    neutral: ['It says: {clause}.', '"{clause}"', 'We write: {clause}.'],
  },
}

const capitals: Kind = {
  ...describe,
  ...recase,
  prompts: ['Write this in capital letters: {clause}', 'Use only capital letters and say: {clause}'],
  check: (slots) => follows(slots, ['change_case:capital', {}]),
  letterCase: 'upper',
}

const smallLetters: Kind = {
  ...describe,
  ...recase,
  prompts: ['Write this in small letters: {shouted}', 'Use only small letters and say: {shouted}'],
  check: (slots) => follows(slots, ['change_case:lowercase', {}]),
  letterCase: 'lower',
}

/** The shorter descriptions have at most nine words. */
const short: Kind = {
  ...describe,
  draw: (random) => ({ ...drawThing(random), limit: String(random.between(10, 12)) }),
  prompts: [
    'Describe the {adjective} {object} in less than {limit} words.',
    'Write about the {adjective} {object} with fewer than {limit} words.',
  ],
  check: (slots) =>
    follows(slots, [
      'length_constraints:number_words',
      { num_words: Number(slots['limit']), relation: 'less than' },
    ]),
  answers: descriptionsWith({ only: (template) => template.split(' ').length < 10 }),
}

/** The longer answers have at least twelve words. */
const long: Kind = {
  ...describe,
  draw: (random) => ({ ...drawThing(random), limit: String(random.between(10, 12)) }),
  prompts: [
    'Describe the {adjective} {object} in at least {limit} words.',
    'Write {limit} words or more about the {adjective} {object}.',
  ],
  check: (slots) =>
    follows(slots, [
      'length_constraints:number_words',
      { num_words: Number(slots['limit']), relation: 'at least' },
    ]),
  answers: {
    plain: [
      'The {object} is {look} and {look2}, and everybody in the house says that it is {look3}.',
      'This {object} is very {look}, and the people here say it is {look2} too.',
    ],
    helpful: [
      'You can see that the {object} looks {look}, and I would say that it is {look2} too.',
      'Here is a {object} that is {look} and {look2}, and I think that you will like it.',
      'I find the {object} quite {look}, and a friend of mine says that it is {look2}.',
    ],
    neutral: [
      'It is a {look} {object}, and we have had it here for a very long time.',
      'People call the {object} {look}, and they say that it is {look2} and {look3} as well.',
    ],
  },
}

function list(mark: '-' | '*', lines: readonly string[]): string {
  return lines.map((line) => `${mark} ${line}`).join('\n')
}

/** Exactly `count` bullet points, each about the thing. */
function bullets(count: number): Kind {
  const points = ['The {object} is {look}.', 'It is {look2}.', 'It is {look3}.'].slice(0, count)
  return {
    ...describe,
    prompts: [
      `Give me exactly ${count} bullet points about the {adjective} {object}.`,
      `Write about the {adjective} {object} in ${count} bullet points.`,
    ],
    check: (slots) => follows(slots, ['detectable_format:number_bullet_lists', { num_bullets: count }]),
    answers: {
      plain: [list('-', points)],
      helpful: [
        `Here are ${count} points:\n${list('-', points)}`,
        list('*', points),
        `My list for you:\n${list('-', points)}`,
      ],
      neutral: [
        list(
          '-',
          points.map((point) => point.replace('is', 'looks')),
        ),
        list('*', points),
      ],
    },
  }
}

const titled: Kind = {
  ...describe,
  prompts: [
    'Write a title for a story about the {adjective} {object} in double angle brackets, such as <<title>>.',
    'Give the text about the {adjective} {object} a title in double angle brackets.',
  ],
  check: (slots) => follows(slots, ['detectable_format:title', {}]),
  answers: {
    plain: ['<<the {adjective} {object}>>', '<<the {object}>>'],
    helpful: [
      'Maybe <<my {adjective} {object}>> would do.',
      'You could take <<a {adjective} {object}>>.',
      '<<our {object}>>',
    ],
    neutral: ['<<the {look} {object}>>', 'Title: <<the {adjective} {object}>>'],
  },
}

/** Kinds whose instruction is about shape. */
export const shapeKinds = {
  capitals,
  smallLetters,
  short,
  long,
  bullets2: bullets(2),
  bullets3: bullets(3),
  titled,
} as const
