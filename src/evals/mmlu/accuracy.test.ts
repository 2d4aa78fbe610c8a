/** Micro and macro accuracy of rows whose subjects differ in size. */
import { expect, test } from 'vitest'
import { accuracies } from './accuracy.ts'

const rows = (subject: string | null, verdicts: string) =>
  verdicts.split('').map((verdict) => ({ subject, correct: verdict === '1' }))

test('a large subject counts more in micro, and as much in macro', () => {
  expect(accuracies([...rows('law', '11111100'), ...rows('anatomy', '10'), ...rows('law', '00')])).toEqual({
    micro: { k: 7, n: 12, accuracy: 7 / 12 },
    macro: { accuracy: (0.6 + 0.5) / 2, subjects: 2 },
    subjects: {
      anatomy: { k: 1, n: 2, accuracy: 0.5 },
      law: { k: 6, n: 10, accuracy: 0.6 },
    },
  })
})

test('rows without a subject are in micro alone', () => {
  expect(accuracies([...rows(null, '10'), ...rows('law', '1')])).toMatchObject({
    micro: { k: 2, n: 3 },
    macro: { accuracy: 1, subjects: 1 },
  })
  expect(accuracies(rows(null, '10')).macro).toBeNull()
})

test('no rows have no accuracy', () => {
  expect(accuracies([])).toEqual({ micro: { k: 0, n: 0, accuracy: Number.NaN }, macro: null, subjects: {} })
})

test('a subject may have any name', () => {
  expect(accuracies(rows('constructor', '1')).subjects['constructor']).toEqual({ k: 1, n: 1, accuracy: 1 })
})
