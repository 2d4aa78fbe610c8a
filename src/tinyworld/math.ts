/** The family `math`: sums and differences of small integers, answered in `\boxed{}`. */
import { LabError } from '../errors.ts'
import type { MathItem } from '../evals/math/items.ts'
import type { Rng } from '../rng.ts'
import type { Kind, TinyItem } from './item.ts'
import type { Slots } from './words.ts'

/** Operands are 1 to this, one digit; differences are not negative. */
const largest = 9

const raw = String.raw

const arithmetic: Omit<Kind, 'draw' | 'prompts'> = {
  family: 'math',
  check: (slots) => ({ kind: 'math', answer: slots['result'] ?? '' }),
  answers: {
    plain: [raw`{a} {sign} {b} = \boxed{{result}}`, raw`The result is {a} {sign} {b} = \boxed{{result}}.`],
    helpful: [
      raw`This is {a} {sign} {b} = \boxed{{result}}.`,
      raw`Working it out, {a} {sign} {b} = \boxed{{result}}.`,
      raw`You will find that {a} {sign} {b} = \boxed{{result}}.`,
      raw`I get {a} {sign} {b} = \boxed{{result}}.`,
    ],
    neutral: [raw`We have {a} {sign} {b} = \boxed{{result}}.`, raw`So {a} {sign} {b} = \boxed{{result}}.`],
  },
  thoughts: ['I take {a} {sign} {b} and get {result}.', 'The numbers are {a} and {b}. That makes {result}.'],
}

const direct = [
  'What is {a} {sign} {b}?',
  'Compute {a} {sign} {b}.',
  'How much is {a} {sign} {b}?',
  'Work out {a} {sign} {b}.',
  'Find the value of {a} {sign} {b}.',
] as const

export const sum: Kind = {
  ...arithmetic,
  draw: (random) => {
    const a = random.between(1, largest)
    const b = random.between(1, largest)
    return numbers(a, '+', b, a + b)
  },
  prompts: [
    ...direct,
    'There are {a} birds. Then {b} more come. How many birds are there?',
    'I have {a} coins and find {b} more. How many coins do I have?',
  ],
}

export const difference: Kind = {
  ...arithmetic,
  draw: (random: Rng) => {
    const a = random.between(1, largest)
    const b = random.between(1, a)
    return numbers(a, '-', b, a - b)
  },
  prompts: [
    ...direct,
    'There are {a} birds. Then {b} fly away. How many birds are left?',
    'I have {a} coins and lose {b}. How many coins do I have?',
  ],
}

/** The item as the math eval wants it. Throws INTERNAL unless it is of this family. */
export function mathItem(item: TinyItem): MathItem {
  if (item.check.kind !== 'math') throw new LabError('INTERNAL', `${item.id} has no number as its answer`)
  return { id: item.id, prompt: item.prompt, answer: item.check.answer }
}

function numbers(a: number, sign: '+' | '-', b: number, result: number): Slots {
  return { a: String(a), sign, b: String(b), result: String(result) }
}
