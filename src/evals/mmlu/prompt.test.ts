/** The forms of an MMLU prompt, to the letter. */
import { describe, expect, test } from 'vitest'
import type { MmluItem } from './items.ts'
import { letterTokens } from './letter-tokens.ts'
import { mmluPrompt, postPrompt, textMessages, textPrompt } from './prompt.ts'

const item: MmluItem = {
  id: '1',
  subject: 'high_school_lore',
  question: '\u0085 What is the favorite color of Tavok?\n',
  choices: ['red', ' blue', 'gold\n', 'white'],
  answer: 'B',
}
const shot: MmluItem = {
  ...item,
  id: '2',
  question: 'Who is Tavok?',
  choices: ['a', 'b', 'c', 'd'],
  answer: 'D',
}

test('chat form: the question as it is written, and the options', () => {
  const { question } = shot
  expect(mmluPrompt({ question, choices: item.choices })).toBe(
    'Who is Tavok?\nA. red\nB.  blue\nC. gold\n\nD. white',
  )
  expect(() => mmluPrompt({ question, choices: ['red'] })).toThrow('needs 4 choices, this one has 1')
})

test("the post's form asks for a letter in a tag", () => {
  expect(postPrompt(shot)).toBe(
    'Provide your answer inside <answer> tags as a single letter (A, B, C, or D), without any explanation.\n\n' +
      'Who is Tavok?\nA. a\nB. b\nC. c\nD. d',
  )
})

describe('text form', () => {
  const heading = 'The following are multiple choice questions (with answers) about high school lore.\n\n'
  const asked = 'What is the favorite color of Tavok?\nA. red\nB.  blue\nC. gold\n\nD. white\nAnswer:'
  const shown = 'Who is Tavok?\nA. a\nB. b\nC. c\nD. d\nAnswer:'

  test('no shots, one shot', () => {
    expect(textPrompt(item, [])).toBe(heading + asked)
    expect(textPrompt(item, [shot])).toBe(`${heading}${shown} D\n\n${asked}`)
  })

  test('as a chat', () => {
    expect(textMessages(item, [shot])).toEqual([
      { role: 'system', content: heading },
      { role: 'user', content: shown },
      { role: 'assistant', content: 'D' },
      { role: 'user', content: asked },
    ])
  })

  test('a shot of another subject and an item of none are refused', () => {
    expect(() => textPrompt(item, [{ ...shot, subject: 'anatomy' }])).toThrow(
      'the shot 2 is of another subject',
    )
    expect(() => textPrompt({ ...item, subject: null }, [])).toThrow('this item has none')
  })
})

/** Two characters are a token. */
function encode(text: string): number[] {
  return (text.match(/..?/gsu) ?? []).map((pair) => pair.charCodeAt(0) * 256 + (pair.charCodeAt(1) || 0))
}

test('letters are cut from the tokens of prompt and letter together', () => {
  expect(letterTokens('abcd', encode, [1])).toEqual({
    prompt: [1, ...encode('abcd')],
    choices: [encode(' A'), encode(' B'), encode(' C'), encode(' D')],
  })
  // The prompt's last token is none of the whole.
  expect(letterTokens('abc', encode).choices).toEqual([encode('A'), encode('B'), encode('C'), encode('D')])
})
