/** Python's patterns, one row for each trap between them and JavaScript's. */
import { describe, expect, test } from 'vitest'
import { countMatches, found, pythonPattern } from './pattern.ts'

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
    ['{a}', '{a}', 1],
    ['a]', 'a]', 1],
    ['[]a]', ']a', 2],
    ['[^]a]', ']ab', 1],
    ['a{,2}b', 'aab b', 2],
    ['C++', 'C CC', 2],
    ['a+?', 'aa', 2],
    ['(?P<x>a)(?P=x)', 'aa', 1],
    [String.raw`\Bb`, 'ab b', 1],
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

  test('Python has four forms of i where letter case is ignored', () => {
    const forms = ['i', 'I', '\u0130', '\u0131']
    for (const form of forms) {
      for (const source of [form, `[${form}]`]) {
        const pattern = pythonPattern(source, { ignoreCase: true })
        expect(forms.filter((text) => found(pattern, text))).toEqual(forms)
      }
    }
  })

  test("a broken pattern is the user's error", () => {
    expect(() => pythonPattern('(')).toThrow('not a regular expression that can be used here: (')
  })
})
