/** One pass gives what the reference's patterns give, on every text; and long texts of one sign are answered soon by all checkers. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isPythonJson } from './json.ts'
import { countMatches, pythonPattern } from './pattern.ts'
import { countBullets, countPlaceholders, titles } from './scan.ts'
import { ifevalScorer, instructionIds } from './verdict.ts'

const raw = String.raw
const textsOf = (...signs: readonly string[]) =>
  fc.string({ unit: fc.constantFrom(...signs, 'a', ' ', '\n', '🦜'), maxLength: 24, size: 'max' })
const held = { numRuns: 3000 }

describe('the same as the pattern', () => {
  test('placeholders', () => {
    const pattern = pythonPattern(raw`\[.*?\]`)
    fc.assert(
      fc.property(textsOf('[', ']'), (text) => {
        expect(countPlaceholders(text)).toBe(countMatches(pattern, text))
      }),
      held,
    )
  })

  test('titles', () => {
    const pattern = pythonPattern(raw`<<[^\n]+>>`)
    fc.assert(
      fc.property(textsOf('<', '>'), (text) => {
        expect(titles(text)).toEqual([...text.matchAll(pattern)].map(([found]) => found))
      }),
      held,
    )
  })

  test('bullets', () => {
    const star = pythonPattern(raw`^\s*\*[^\*].*$`, { multiline: true })
    const dash = pythonPattern(raw`^\s*-.*$`, { multiline: true })
    fc.assert(
      fc.property(textsOf('*', '-', '\n', '\t', '\u0085'), (text) => {
        expect(countBullets(text, '*')).toBe(countMatches(star, text))
        expect(countBullets(text, '-')).toBe(countMatches(dash, text))
      }),
      held,
    )
  })

  test.each(['ps', 'p.s', 'lamp '])('postscript %j', (marker) => {
    const pattern = pythonPattern(raw`\s*${marker.trim()}.*$`, { multiline: true })
    const score = scorer('detectable_content:postscript', { postscript_marker: marker })
    fc.assert(
      fc.property(textsOf('p', 's', 'S', '.', 'lamp'), (text) => {
        if (text.trim() !== '') expect(score(text)).toBe(text.toLowerCase().search(pattern) >= 0)
      }),
      held,
    )
  })
})

describe('JSON of 20 MB', () => {
  const mb = 1_000_000
  test.each<[string, string, boolean]>([
    ['one string', `"${'a'.repeat(20 * mb)}"`, true],
    ['one string of escapes', `"${raw`\"`.repeat(10 * mb)}"`, true],
    ['a string without end', `"${'a'.repeat(20 * mb)}`, false],
    ['escapes without end', raw`"\ `.trim().repeat(10 * mb), false],
    ['a line break in a string', `"${'a'.repeat(20 * mb)}\n"`, false],
    ['NaN beside a string', `["${'NaN '.repeat(5 * mb)}", NaN]`, true],
    ['NaN a million times', `[${'NaN, '.repeat(mb)}-Infinity]`, true],
    ['an integer', '7'.repeat(20 * mb), false],
    ['a fraction', `0.${'7'.repeat(20 * mb)}`, true],
    ['an integer in a string', `"${'7'.repeat(20 * mb)}"`, true],
    ['an integer in an array', `[1e5, -${'7'.repeat(4301)}]`, false],
    ['an integer that is read', `[1e5, -${'7'.repeat(4300)}]`, true],
  ])('%s', (_, text, expected) => {
    expect(isPythonJson(text)).toBe(expected)
  })
})

/** Whether the instruction is followed strictly. */
function scorer(id: string, kwargs: Record<string, unknown>): (text: string) => boolean | undefined {
  const score = ifevalScorer({ instruction_id_list: [id], kwargs: [kwargs] })
  return (text) => score(text).strict[0]
}

const some = { relation: 'at least' }
const argumentsOf: Readonly<Record<string, Record<string, unknown>>> = {
  'change_case:capital_word_frequency': { capital_frequency: 3, capital_relation: 'at least' },
  'combination:repeat_prompt': { prompt_to_repeat: 'Say it.' },
  'detectable_content:number_placeholders': { num_placeholders: 3 },
  'detectable_content:postscript': { postscript_marker: 'PS' },
  'detectable_format:multiple_sections': { section_spliter: 'Section', num_sections: 3 },
  'detectable_format:number_bullet_lists': { num_bullets: 3 },
  'detectable_format:number_highlighted_sections': { num_highlights: 3 },
  'keywords:existence': { keywords: ['lamp'] },
  'keywords:forbidden_words': { forbidden_words: ['lamp', "can't"] },
  'keywords:frequency': { keyword: 'lamp', frequency: 3, ...some },
  'keywords:letter_frequency': { letter: 'q', let_frequency: 3, let_relation: 'at least' },
  'language:response_language': { language: 'en' },
  'length_constraints:nth_paragraph_first_word': { num_paragraphs: 2, nth_paragraph: 1, first_word: 'lamp' },
  'length_constraints:number_paragraphs': { num_paragraphs: 3 },
  'length_constraints:number_sentences': { num_sentences: 3, ...some },
  'length_constraints:number_words': { num_words: 3, ...some },
  'startend:end_checker': { end_phrase: 'The end.' },
}
const signs = ['\n', ' ', '\n ', '*', '**', '***', ' ***', '* ', '- ', '-', '[', '[\n', '[a', '<', '<<', '>', '"', raw`"\ `.trim(), '{', '.', '. ', 'p.', 'P. ', 'Section ', 'a', 'A', 'A.', "'", '1', '1.', '(', '?', '`', '中', '🦜'] // prettier-ignore

test.each(instructionIds)('%s: 100 KB of one sign', (id) => {
  const score = scorer(id, argumentsOf[id] ?? {})
  for (const sign of signs) {
    const text = `x${sign.repeat(100_000 / sign.length)}]`
    const start = performance.now()
    score(text)
    // What is quadratic takes 3 to 60 s.
    expect(performance.now() - start, JSON.stringify(sign)).toBeLessThan(2000)
  }
})
