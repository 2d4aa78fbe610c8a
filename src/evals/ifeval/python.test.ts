/** The traps between Python's and JavaScript's strings, one row each. */
import { describe, expect, test } from 'vitest'
import { countMatches, found, isLower, isUpper, pythonPattern, strip, stripCharacter } from './python.ts'

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

describe('pythonPattern', () => {
  test.each([
    [String.raw`\w+`, "don't stop a_b", 4],
    [String.raw`\w+`, 'café über', 2],
    [String.raw`\bcan\b`, 'can cannot écan can', 2],
    [String.raw`a.c`, 'a\rc a\nc abc', 2],
    [String.raw`a\sc`, 'a\u001cc a\uFEFFc', 1],
    [String.raw`\d`, '3٣x', 2],
    [String.raw`[\w-]+`, 'é-a b', 2],
    [String.raw`\'\-\@`, "'-@", 1],
    ['[[a]', '[a', 2],
    [String.raw`\.`, 'a.b', 1],
    ['a$', 'a\n', 1],
  ])('%s in %j', (source, text, matches) => {
    expect(countMatches(pythonPattern(source), text)).toBe(matches)
  })

  test('multiline anchors break at newlines only', () => {
    expect(countMatches(pythonPattern('^-', { multiline: true }), '-a\r-b\n-c\u2028-d')).toBe(2)
    expect(countMatches(pythonPattern('x$', { multiline: true }), 'x\nx\r')).toBe(1)
  })

  test('letter case is ignored on request', () => {
    expect(found(pythonPattern('river', { ignoreCase: true }), 'THE RIVER')).toBe(true)
    expect(found(pythonPattern('river'), 'THE RIVER')).toBe(false)
  })

  test("a broken pattern is the user's error", () => {
    expect(() => pythonPattern('(')).toThrow('not a regular expression that can be used here: (')
  })
})
