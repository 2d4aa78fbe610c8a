/** The rows that are read as MMLU questions, from the real files too. */
import { describe, expect, test } from 'vitest'
import { readJsonRows } from '../../data/json-rows.ts'
import { sharedData } from '../../../test/shared-data.ts'
import { distinctItems, type MmluItem, mmluItemSchema } from './items.ts'

const choices = ['red', 'blue', 'gold', 'white']
const question = 'What is the favorite color of Tavok?'

describe('a row', () => {
  test.each([
    [
      { id: 'a', answer: 'C' },
      { id: 'a', subject: null, question: '', choices: [], answer: 'C' },
    ],
    [
      { id: 7, answer: 2 },
      { id: '7', subject: null, question: '', choices: [], answer: 'C' },
    ],
    [
      { id: 'a', answer: ' c ' },
      { id: 'a', subject: null, question: '', choices: [], answer: 'C' },
    ],
    [
      { subject: 'lore', index: 4, question, choices, answer: 0 },
      { id: 'lore/4', subject: 'lore', question, choices, answer: 'A' },
    ],
    [
      { question, subject: 'lore', choices, answer: 3 },
      { id: 'lore/e726eb204783', subject: 'lore', question, choices, answer: 'D' },
    ],
  ])('%j', (row, item) => {
    expect(mmluItemSchema.parse(row)).toEqual(item)
  })

  test.each([
    [{ answer: 'A' }, 'an item needs an id'],
    [{ id: 'a' }, 'expected one of A, B, C, D, or 0 to 3'],
    [{ id: 'a', answer: 'E' }, 'expected one of A, B, C, D, or 0 to 3'],
    [{ id: 'a', answer: 4 }, 'expected one of A, B, C, D, or 0 to 3'],
    [{ id: 'a', answer: 1.5 }, 'expected one of A, B, C, D, or 0 to 3'],
    [{ question, choices: ['red', 'blue'], answer: 0 }, 'expected 4 choices'],
    [{ question, answer: 0 }, 'both a question and choices'],
    [{ id: 'a', choices, answer: 0 }, 'both a question and choices'],
    ['A', 'expected object'],
  ])('%j is refused', (row, message) => {
    expect(mmluItemSchema.safeParse(row).error?.message).toContain(message)
  })
})

function idsOf(items: readonly MmluItem[]): number {
  return new Set(items.map(({ id }) => id)).size
}

const file = sharedData('mmlu/test.jsonl.gz')

test.skipIf(file === null)(
  'the test set: 14,042 questions of 57 subjects, 27 of them asked twice',
  async () => {
    const numbered: MmluItem[] = []
    const asOnTheHub: MmluItem[] = []
    for await (const { value } of readJsonRows(file!)) {
      const { index, ...row } = value as Record<string, unknown>
      numbered.push(mmluItemSchema.parse({ ...row, index }))
      asOnTheHub.push(mmluItemSchema.parse(row))
    }
    expect(numbered).toHaveLength(14_042)
    expect(new Set(numbered.map(({ subject }) => subject)).size).toBe(57)
    expect(idsOf(numbered)).toBe(14_042)
    expect(idsOf(asOnTheHub)).toBe(14_042 - 27)
    expect(idsOf(distinctItems(asOnTheHub))).toBe(14_042)
  },
)
