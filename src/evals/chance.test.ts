/** The best constant response of small item sets. */
import { expect, test } from 'vitest'
import { constantBaseline } from './chance.ts'
import { type Check, passes } from './check.ts'

const answers: Check[] = ['7', '3', '7', '12'].map((answer) => ({ kind: 'math', answer }))

test('for integers it is the most frequent answer', () => {
  const candidates = ['3', '7', '12'].map((n) => String.raw`\boxed{${n}}`)
  expect(constantBaseline(answers, candidates, passes)).toEqual({
    k: 2,
    n: 4,
    response: String.raw`\boxed{7}`,
  })
})

test('the first of equals wins, and a useless candidate is still a response', () => {
  expect(constantBaseline(answers, ['none', 'nothing'], passes)).toEqual({ k: 0, n: 4, response: 'none' })
})

test('without candidates or items', () => {
  expect(constantBaseline(answers, [], passes)).toEqual({ k: 0, n: 4, response: null })
  expect(constantBaseline([], ['x'], passes)).toEqual({ k: 0, n: 0, response: 'x' })
})
