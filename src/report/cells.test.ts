/** The grid keeps the experiment's order and loses no cell. */
import { expect, test } from 'vitest'
import { gridOf, shortVerdict, techniqueText, verdictText } from './cells.ts'
import { syntheticResults } from './synthetic.fixture.ts'

test('every cell has one place', () => {
  const results = syntheticResults({ seeds: [3, 1], broken: true })
  const grid = gridOf(results)
  expect(grid.organisms).toEqual(['direct', 'distilled', 'control'])
  expect(grid.techniques).toEqual(['hhh', 'pirate', 'depirate'])
  expect(grid.axes.map(({ text }) => text)).toEqual(['lr 1e-4', 'lr 4e-4'])
  const placed = grid.organisms.flatMap((organism) =>
    grid.techniques.flatMap((technique) => grid.axes.flatMap((axes) => grid.at(organism, technique, axes))),
  )
  expect(new Set(placed)).toEqual(new Set(results.cells))
  expect(placed).toHaveLength(results.cells.length)
})

test('names of techniques and verdicts', () => {
  const results = syntheticResults({ broken: true })
  expect(results.techniques.map(({ name }) => techniqueText(results, name))).toEqual([
    'hhh',
    'pirate',
    'pirate → depirate',
  ])
  const texts = new Map(results.cells.map((cell) => [verdictText(cell), shortVerdict(cell)]))
  expect(Object.fromEntries(texts)).toMatchObject({
    survived: 'survived',
    failed: 'failed',
    'not installed': 'not installed',
    'removed (recovery untested)': 'removed*',
  })
})
