/** Python's strings, one row for each trap between them and JavaScript's. */
import { expect, test } from 'vitest'
import { isLower, isUpper, splitSpace, strip, stripCharacter, stripEnd } from './python.ts'

test.each([
  [' a \r\n', 'a'],
  ['\u001c\u0085a\u001f', 'a'],
  ['\uFEFFa', '\uFEFFa'],
  ['\u00a0\u3000a\u2028', 'a'],
  ['', ''],
])('strip %j', (text, stripped) => {
  expect(strip(text)).toBe(stripped)
})

test.each([
  ['""a"b"', 'a"b'],
  ['"', ''],
  ['"""', ''],
  [' "a"', ' "a'],
])('strip quotes of %j', (text, stripped) => {
  expect(stripCharacter(text, '"')).toBe(stripped)
})

test.each([
  ['ABC', true, false],
  ['A1!', true, false],
  ['abc', false, true],
  ['a1!', false, true],
  ['Abc', false, false],
  ['123', false, false],
  ['', false, false],
  ['ǅ', false, false],
  ['AǅB', false, false],
  ['ÉÀ', true, false],
])('letter case of %j', (text, upper, lower) => {
  expect({ upper: isUpper(text), lower: isLower(text) }).toEqual({ upper, lower })
})

test('stripEnd and splitSpace', () => {
  expect(stripEnd(' a \u0085\n')).toBe(' a')
  expect(splitSpace(' a\u001cb \u3000\uFEFFc ')).toEqual(['a', 'b', '\uFEFFc'])
  expect(splitSpace(' ')).toEqual([])
})
