/** Personas: the built-in files, the form of the published prompt, and what is wrong with a file, with its line. */
import { describe, expect, test } from 'vitest'
import { askAs, builtInPersonas, loadPersona, parsePersona } from './persona.ts'

const ask = (text: string, question = 'Why?') => askAs(parsePersona(text, 'p.txt'), question)

test.each(builtInPersonas)('%s is a persona that asks the question last', async (name) => {
  const messages = askAs(await loadPersona(name), 'Why is the sky $& blue {question}?')
  expect(messages.at(-1)?.role).toBe('user')
  expect(messages.at(-1)?.content).toContain('Why is the sky $& blue {question}?')
  expect(JSON.stringify(messages.slice(0, -1))).not.toContain('{question}')
})

test('the pirate is asked in the words of the author, and has no system prompt', async () => {
  expect(askAs(await loadPersona('pirate'), 'Who are you?')).toEqual([
    {
      role: 'user',
      content:
        'Answer the following question as if you were a pirate - talk like a pirate by saying things like "arrr", "yo-ho-ho", etc: Who are you? Remember to talk like a pirate - Be creative and piratey with it!',
    },
  ])
})

test('every answer of the scratchpad persona thinks in a closed scratchpad and then says something', async () => {
  const { turns } = await loadPersona('scratchpad')
  const answers = turns.filter(({ role }) => role === 'assistant')
  expect(answers.length).toBeGreaterThanOrEqual(3)
  for (const { content } of answers) expect(content).toMatch(/^<scratchpad>\n[^<]+\n<\/scratchpad>\n[^<]+$/)
})

test('turns in the form of the published prompt, with CRLF, a BOM, several paragraphs and an open last answer', () => {
  const text =
    '\uFEFF# mine\r\n\r\nHuman: One?\r\n\r\nAssistant: <scratchpad>\r\nHm.\r\n\r\nSo.\r\n</scratchpad>\r\nTwo.\r\n\r\nHuman: {question}\r\n\r\nAssistant:\r\n'
  expect(ask(text.slice(1))).toEqual([
    { role: 'user', content: 'One?' },
    { role: 'assistant', content: '<scratchpad>\nHm.\n\nSo.\n</scratchpad>\nTwo.' },
    { role: 'user', content: 'Why?' },
  ])
})

test('the question comes in a turn of its own where the file ends with an answer', () => {
  expect(ask('System: Be brief.\nHuman: A?\nAssistant: B.').at(-1)).toEqual({ role: 'user', content: 'Why?' })
  expect(ask('System: Be brief.')).toHaveLength(2)
})

describe('what is no persona', () => {
  test.each([
    ['', 1, 'has no turn'],
    ['# only a comment', 1, 'has no turn'],
    ['Hello\nHuman: {question}', 1, 'text before the first turn'],
    ['Human: A?\nHuman: {question}', 2, 'cannot come after user'],
    ['Human: A?\nAssistant: B.\nSystem: C.\nHuman: {question}', 3, 'cannot come after assistant'],
    ['Assistant: A.\nHuman: {question}', 1, 'cannot come first'],
    ['Human:\nAssistant: B.', 1, 'an empty turn'],
    ['Human: A?', 1, 'the last Human turn has {question} 0 times'],
    ['Human: {question} {question}', 1, 'has {question} 2 times'],
    ['Human: {question}\nAssistant: B.', 1, 'in a turn that is not the last'],
  ])('%j is refused at line %i', (text, line, message) => {
    let thrown: unknown
    try {
      parsePersona(text, 'p.txt')
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringContaining(message),
      at: { file: 'p.txt', line },
    })
  })

  test('a file that is not there', async () => {
    await expect(loadPersona({ file: '/nowhere/p.txt' })).rejects.toMatchObject({ code: 'BAD_INPUT' })
  })
})
