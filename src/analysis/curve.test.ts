/** The checks on curves: what is impossible is refused with the place where it stands. */
import { describe, expect, test } from 'vitest'
import { checkCurve, checkPoint } from './curve.ts'
import { capability, point } from './curve.fixture.ts'

describe('impossible points', () => {
  test.each([
    {
      what: 'more successes than tries',
      parts: { fired: 129, start: 0 },
      message: 'step 8, triggered: 129 of 128',
    },
    {
      what: 'pairs beyond their count',
      parts: { fired: 5, against_start: { both: 6, only_now: 0, only_start: 0, neither: 0 } },
      message: 'step 8, triggered: against_start has 6 of 6, its count only 5 of 128',
    },
    {
      what: 'negative pairs',
      parts: { fired: 5, against_start: { both: 5, only_now: 0, only_start: -1, neither: 0 } },
      message: 'step 8, triggered, against_start: 5 of 4',
    },
    {
      what: 'chance of one',
      parts: { fired: 0, capabilities: { mmlu: capability(3, 3, 128, 1) } },
      message: 'step 8, mmlu: chance 1 is not in [0, 1)',
    },
    {
      what: 'answers that are no counts',
      parts: { fired: 0, answered_triggered: { k: 2.5, n: 3 } },
      message: 'step 8, answered_triggered: 2.5 of 3',
    },
    {
      what: 'negative answers',
      parts: { fired: 0, answered_pairs: { both: 3, only_triggered: 0, only_untriggered: 2, neither: -1 } },
      message: 'step 8, answered_pairs: -1 of 4',
    },
  ])('$what', ({ parts, message }) => {
    const bad = point(8, parts)
    const checkIt = (): void => checkPoint(bad)
    expect(checkIt).toThrow(message)
  })

  test('fewer pairs than prompts are allowed', () => {
    checkPoint(point(8, { fired: 5, against_start: { both: 1, only_now: 0, only_start: 2, neither: 7 } }))
  })
})

test('steps must ascend', () => {
  checkCurve([point(0, { fired: 1 }), point(4, { fired: 1 })])
  expect(() => checkCurve([point(4, { fired: 1 }), point(4, { fired: 1 })])).toThrow('ascending: 4 after 4')
  expect(() => checkCurve([point(1.5, { fired: 1 })])).toThrow('whole')
})
