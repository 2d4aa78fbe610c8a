/** Distances between words, and the order in which problems are told. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { alternatives, didYouMean, editDistance, nearest, showPath, SpecError } from './problem.ts'

describe('editDistance', () => {
  test.each([
    ['train', 'train', 0],
    ['trian', 'train', 1],
    ['train', 'trains', 1],
    ['kitten', 'sitting', 3],
    ['', 'abc', 3],
  ])('%s, %s: %d', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance)
  })

  test('is symmetric, and 0 for equal words only', () => {
    const word = fc.string({ maxLength: 8 })
    fc.assert(
      fc.property(word, word, (a, b) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a))
        expect(editDistance(a, b) === 0).toBe(a === b)
      }),
    )
  })
})

test('nothing is suggested for a word that is near to nothing', () => {
  expect(didYouMean('trian', ['train', 'data'])).toBe('did you mean `train`?')
  expect(nearest('zebra', ['train', 'data'])).toBeUndefined()
  expect(nearest('lr', ['at'])).toBeUndefined()
})

test('words for paths and choices', () => {
  expect(showPath(['axes', 'technique.train.lr', 2])).toBe('axes.technique.train.lr[2]')
  expect(alternatives(['a'])).toBe('a')
  expect(alternatives(['a', 'b', 'c'])).toBe('a, b or c')
})

const at = (line: number, message: string) => ({ where: { file: 'x.yaml', line, col: 1 }, message })

test('problems are told once, arguments first, then in the order of the file', () => {
  const argument = { where: { argument: 'a=b' }, message: 'wrong', hint: 'try c' }
  const error = new SpecError([at(9, 'late'), at(2, 'early'), argument, at(9, 'late')])
  expect(error.render()).toBe('--set a=b: wrong\n  try c\nx.yaml:2:1: early\nx.yaml:9:1: late')
  expect(error.message).toBe('--set a=b: wrong')
  expect(new SpecError([at(9, 'late'), at(2, 'early')]).at).toEqual({ file: 'x.yaml', line: 2, col: 1 })
})
