/** Tests of teachers: recorded responses, and how responses and prompts come together. */
import { expect, test } from 'vitest'
import { answeredRows, withoutRepeats } from './filters.ts'
import { recordedTeacher } from './recorded.ts'
import type { Teacher } from './teacher.ts'

const prompts = [
  { id: 'a', prompt: 'A?', response: 'Yes.' },
  { id: 'b', prompt: 'B?' },
  { id: 'c', prompt: 'C?', response: '' },
]
const context = { seed: 1, signal: new AbortController().signal }

const lateTeacher: Teacher = (rows) =>
  Promise.resolve(
    rows.toReversed().map(({ id }) => {
      if (id === 'b') return { id, text: 'Cut', finish: 'length' }
      return { id, finish: 'error', reason: id === 'a' ? 'timeout' : 'refused' }
    }),
  )

test('the recorded teacher gives what the file holds; a row without a response is a counted drop, not an empty answer', async () => {
  const { rows, dropped } = answeredRows(prompts, await recordedTeacher(prompts, context))
  expect(rows).toEqual([
    { id: 'a', prompt: 'A?', response: 'Yes.', finish: 'stop' },
    { id: 'c', prompt: 'C?', response: '', finish: 'stop' },
  ])
  expect(dropped).toEqual({ no_recorded_response: 1 })
})

test('responses are joined by id, in the order of the prompts, and errors are counted by reason', async () => {
  const { rows, dropped } = answeredRows(prompts, await lateTeacher(prompts, context))
  expect(rows).toEqual([{ id: 'b', prompt: 'B?', response: 'Cut', finish: 'length' }])
  expect(dropped).toEqual({ timeout: 1, refused: 1 })
})

test('a teacher that answers twice, or leaves a prompt out, is a bug that shows', () => {
  const yes = { id: 'a', text: 'Yes.', finish: 'stop' as const }
  expect(() => answeredRows(prompts.slice(0, 1), [yes, yes])).toThrow('answered a prompt twice')
  expect(() => answeredRows(prompts.slice(0, 2), [yes])).toThrow('left prompt b without a response')
})

const row = (id: string, prompt: string, response: string) => ({
  id,
  prompt,
  response,
  finish: 'stop' as const,
})

test('a row that repeats an earlier question and its response, up to case and white space, is a counted drop', () => {
  const rows = [
    row('a', 'Who?', 'Me.'),
    row('b', 'who? ', 'me.'),
    row('c', 'Who?', 'You.'),
    row('d', 'When?', 'Me.'),
  ]
  const { rows: kept, dropped } = withoutRepeats({ rows, dropped: { timeout: 2 } })
  expect(kept.map(({ id }) => id)).toEqual(['a', 'c', 'd'])
  expect(dropped).toEqual({ timeout: 2, duplicate: 1 })
  expect(withoutRepeats({ rows: kept, dropped: {} }).dropped).toEqual({})
})
