/** The rows of MATH-500 that are scored, from the real file; and what a row of an item file has to be. */
import { describe, expect, test } from 'vitest'
import { readJsonRows } from '../../data/json-rows.ts'
import { sharedData } from '../../../test/shared-data.ts'
import { scoreMath } from './boxed.ts'
import { canonicalInteger } from './integer.ts'
import { isIntegerItem, type MathItem, mathItemSchema } from './items.ts'
import { mathPrompt } from './prompt.ts'

const all = sharedData('math/math500_test.jsonl')
const subset = sharedData('math/math500_integer293.jsonl')

async function itemsOf(file: string) {
  const items: MathItem[] = []
  for await (const { value } of readJsonRows(file)) items.push(mathItemSchema.parse(value))
  return items
}

describe.skipIf(all === null || subset === null)('MATH-500', () => {
  test('293 of the 500 answers are all digits: those of the subset, in its order', async () => {
    const items = await itemsOf(all!)
    expect(items).toHaveLength(500)
    const integers = items.filter(isIntegerItem)
    expect(integers).toHaveLength(293)
    expect(integers).toEqual(await itemsOf(subset!))
  })

  test('every published solution of the subset is correct, under both protocols', async () => {
    for await (const { value } of readJsonRows(subset!)) {
      const { solution } = value as { solution: string }
      const item = mathItemSchema.parse(value)
      expect(scoreMath(item, solution), item.id).toEqual({ extracted: item.answer, correct: true })
      expect(scoreMath(item, solution, 'post').correct, item.id).toBe(true)
    }
  })

  test('what is read as an integer of the other 207 answers: signs, degrees, separators, units, names', async () => {
    const others = (await itemsOf(all!)).filter((item) => !isIntegerItem(item))
    const read = others.flatMap(({ answer }) => {
      const integer = canonicalInteger(answer)
      return integer === null || integer === answer ? [] : [`${answer} is ${integer}`]
    })
    expect(others).toHaveLength(207)
    expect([...new Set(read)].sort()).toEqual([
      String.raw`10,\!080 is 10080`,
      String.raw`106^\circ is 106`,
      String.raw`11,\! 111,\! 111,\! 100 is 11111111100`,
      String.raw`120^\circ is 120`,
      String.raw`145^\circ is 145`,
      String.raw`15\mbox{ cm}^2 is 15`,
      String.raw`180^\circ is 180`,
      String.raw`30^\circ is 30`,
      String.raw`36^\circ is 36`,
      String.raw`55^\circ is 55`,
      '58,500 is 58500',
      // An equation is read as its right side.
      '5x - 7y + 11z + 4 = 0 is 0',
      String.raw`75^\circ is 75`,
      String.raw`76^\circ is 76`,
      String.raw`864 \mbox{ inches}^2 is 864`,
      String.raw`90^\circ is 90`,
      String.raw`\$32,\!348 is 32348`,
      String.raw`\$36 is 36`,
      'x=5 is 5',
    ])
  })
})

describe('a row', () => {
  test.each([
    [
      { id: 'a', answer: '7' },
      { id: 'a', prompt: null, answer: '7' },
    ],
    [
      { id: 3, answer: 7 },
      { id: '3', prompt: null, answer: '7' },
    ],
    [
      {
        problem: 'What is 3 + 4?',
        solution: '7',
        answer: '7',
        subject: 'Algebra',
        level: 1,
        unique_id: 'test/1.json',
      },
      { id: 'test/1.json', prompt: 'What is 3 + 4?', answer: '7' },
    ],
  ])('%j', (row, item) => {
    expect(mathItemSchema.parse(row)).toEqual(item)
  })

  test.each([
    [{ answer: '7' }, 'an item needs an id'],
    [{ id: '', answer: '7' }, 'an item needs an id'],
    [{ id: 'a' }, 'answer'],
    [{ id: 'a', answer: 7.5 }, 'answer'],
    [{ id: 'a', answer: null }, 'answer'],
    [['a', '7'], 'expected object'],
    [null, 'expected object'],
  ])('%j is refused', (row, message) => {
    const { error } = mathItemSchema.safeParse(row)
    expect(error?.message).toContain(message)
  })

  test.each([
    ['7', true],
    [' 42\n', true],
    ['007', true],
    ['-7', false],
    ['7.0', false],
    ['1,000', false],
    ['', false],
    [' ', false],
  ])('the answer %j is all digits: %s', (answer, integer) => {
    expect(isIntegerItem({ answer })).toBe(integer)
  })
})

test('the prompt', () => {
  expect(mathPrompt({ id: '1', prompt: 'What is 3 + 4?', answer: '7' })).toBe(
    'What is 3 + 4?\n\nThink step by step. Then give your final answer, a positive integer, in \\boxed{}.',
  )
  expect(() => mathPrompt({ id: '1', prompt: null, answer: '7' })).toThrow('math item 1 has no problem')
})
