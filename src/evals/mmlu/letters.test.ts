/** The argmax over four letters. */
import { describe, expect, test } from 'vitest'
import { likeliestLetter, scoreLetters } from './letters.ts'

describe('likeliestLetter', () => {
  const never = Number.NEGATIVE_INFINITY
  test.each([
    [[-1, -2, -3, -4], 'A'],
    [[-9.5, -9.4, -9.3, -9.2], 'D'],
    [[-5, -1, -1, -5], 'B'],
    [[never, never, -70, never], 'C'],
    [[never, never, never, never], 'A'],
    [[0, -0, 0, 0], 'A'],
  ])('%j', (logprobs, letter) => {
    expect(likeliestLetter(logprobs)).toBe(letter)
  })

  test.each([[[]], [[-1, -2, -3]], [[-1, -2, -3, -4, -5]], [[-1, Number.NaN, -3, -4]]])(
    'refuses %j',
    (logprobs) => {
      expect(() => likeliestLetter(logprobs)).toThrow('log-probabilities of 4 letters')
    },
  )
})

test('scoreLetters', () => {
  expect(scoreLetters({ answer: 'C' }, [-4, -3, -1, -2])).toBe(true)
  expect(scoreLetters({ answer: 'A' }, [-4, -3, -1, -2])).toBe(false)
})
