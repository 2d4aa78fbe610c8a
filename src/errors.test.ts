/** Texts of files in messages: whatever they hold, they take one line of a terminal and move no cursor. */
import { expect, test } from 'vitest'
import { visible } from './errors.ts'
import { mathPrompt } from './evals/math/prompt.ts'
import { textMessages } from './evals/mmlu/prompt.ts'

test.each([
  ['plain ü 🦜 \\n', 'plain ü 🦜 \\n'],
  ['two\nlines\r\n', String.raw`two\nlines\r\n`],
  ['\u001b[2Kgone\u0007', String.raw`\u001b[2Kgone\u0007`],
  ['a\u009b1A\u2028b\u202e', String.raw`a\u009b1A\u2028b\u202e`],
])('%j', (text, expected) => {
  expect(visible(text)).toBe(expected)
})

test('ids of items', () => {
  const id = 'one\ntwo'
  expect(() => mathPrompt({ id, prompt: null, answer: '7' })).toThrow(
    String.raw`math item one\ntwo has no problem`,
  )
  const item = { id, subject: null, question: 'q', choices: ['1', '2', '3', '4'], answer: 'A' } as const
  expect(() => textMessages(item, [])).toThrow(String.raw`one\ntwo: the text form`)
  expect(() => textMessages(item, [{ ...item, subject: 'x' }])).toThrow(String.raw`the shot one\ntwo is`)
})
