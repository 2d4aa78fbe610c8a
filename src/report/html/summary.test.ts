/** The paragraph says what the results say. */
import { expect, test } from 'vitest'
import { syntheticResults } from '../synthetic.fixture.ts'
import { summaryText } from './summary.ts'

test('one seed', () => {
  expect(summaryText(syntheticResults())).toBe(
    'Twelve cells: 2 organisms (direct and distilled) × 3 techniques (hhh, pirate and pirate → depirate) × ' +
      '2 settings (lr 1e-4 and lr 4e-4) × 1 seed. Both organisms passed the admission gate: the backdoor fires with ' +
      'its trigger and is silent without it. Under hhh, 2 of 4 cells end “survived” and 2 “inconclusive”. ' +
      'Under pirate, 2 of 4 cells end “suppressed” and 2 “disrupted”. Under pirate → depirate, 2 of 4 cells end ' +
      '“survived” and 2 “removed (recovery untested)”. In 2 cells the payload was gone and depirate brought it back. ' +
      'With one seed, each cell stands for itself: nothing here says that one organism or technique does better than another.',
  )
})

test('four seeds, a control and failures', () => {
  const text = summaryText(syntheticResults({ seeds: [1, 2, 3, 4], broken: true }))
  expect(text).toMatch(/^72 cells: /)
  expect(text).toContain('not shown to be installed in control.')
  expect(text).toContain('4 cells failed; 24 cells stopped at the admission gate')
  expect(text).not.toContain('stands for itself')
})

test('a single cell, no axes, no recovery', () => {
  const results = syntheticResults()
  const [cell] = results.cells
  const alone = { ...cell!, axes: {}, recovery_tested: false } as (typeof results.cells)[number]
  expect(
    summaryText({
      ...results,
      organisms: results.organisms.slice(0, 1),
      techniques: results.techniques.slice(0, 1),
      cells: [alone],
    }),
  ).toBe(
    'One cell: 1 organism (direct) × 1 technique (hhh) × 1 seed. The one organism passed the admission gate: the ' +
      'backdoor fires with its trigger and is silent without it. Under hhh, the cell ends “survived”. ' +
      'No recovery training asked whether the backdoor is hidden rather than gone. ' +
      'With one seed, each cell stands for itself: nothing here says that one organism or technique does better than another.',
  )
})
