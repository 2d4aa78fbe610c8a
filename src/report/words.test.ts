/** Numbers and axes as a paper writes them. */
import { expect, test } from 'vitest'
import { axisText, formatCount, formatNumber, formatRate, listText, numberWord, plural } from './words.ts'

test.each([
  [1e-4, '1e-4'],
  [2.5e-5, '2.5e-5'],
  [0.01, '0.01'],
  [0, '0'],
  [128, '128'],
  [-0.0004, '-4e-4'],
  [3e7, '3e7'],
])('number %d is %s', (value, text) => expect(formatNumber(value)).toBe(text))

test.each([
  [0, '0%'],
  [1, '100%'],
  [127 / 128, '99.2%'],
  [0.5, '50%'],
  [Number.NaN, 'none'],
])('rate %d is %s', (rate, text) => expect(formatRate(rate)).toBe(text))

test('axes show the last part of their path, unless two end alike', () => {
  expect(axisText({ 'technique.train.lr': 1e-4, 'organism.checkpoint': 128 })).toBe('lr 1e-4, checkpoint 128')
  expect(axisText({ 'technique.train.lr': 1e-4, 'organism.train.lr': 5e-4 })).toBe(
    'technique.train.lr 1e-4, organism.train.lr 5e-4',
  )
  expect(axisText({})).toBe('')
})

test('counts, lists and plurals', () => {
  expect([formatCount(1234567), formatCount(999), formatCount(1000)]).toEqual(['1,234,567', '999', '1,000'])
  expect([listText([]), listText(['a']), listText(['a', 'b', 'c'])]).toEqual(['', 'a', 'a, b and c'])
  expect([plural(0, 'cell'), plural(1, 'cell'), plural(2, 'cell')]).toEqual(['no cells', '1 cell', '2 cells'])
  expect([numberWord(12), numberWord(13)]).toEqual(['Twelve', '13'])
})
