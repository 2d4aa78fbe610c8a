/** Lines of a plan: alike stages are one line with their number, their time and why they are not cached. */
import { expect, test } from 'vitest'
import type { PlannedStage } from '../run/plan-run.ts'
import { everyLine, foldedLines } from './plan-lines.ts'
import { count } from './forecast-table.ts'

const stage = (title: string, more: Partial<PlannedStage> = {}): PlannedStage => ({
  kind: 'evaluate',
  title,
  group: 'direct/hhh',
  key: title,
  state: 'run',
  place: 'here',
  changed: null,
  seconds: 30,
  memoryBytes: null,
  ...more,
})

test('evaluations of a curve fold where the first of them stands', () => {
  const stages = [
    stage('train direct', { kind: 'train', group: 'direct' }),
    stage('mmlu of direct/hhh step 0', { state: 'cached', seconds: 0 }),
    stage('backdoor of direct/hhh step 0'),
    stage('train direct/hhh', { kind: 'train', place: 'slurm' }),
    stage('backdoor of direct/hhh step 8'),
    stage('mmlu of direct/hhh step 8'),
  ]
  expect(foldedLines(stages)).toEqual([
    'run            ~30 s  train direct',
    'cached                mmlu of direct/hhh step 0',
    'run      ~1 min 30 s  3 evaluations of direct/hhh',
    'run            ~30 s  train direct/hhh (slurm)',
  ])
  expect(everyLine(stages)).toHaveLength(6)
})

test('why they are to run is told once, if it is the same', () => {
  const changed = 'changed: recipe.lr 1e-4 → 2e-4'
  const both = [stage('a', { changed }), stage('b', { changed })]
  expect(foldedLines(both)).toEqual([`run      ~1 min 00 s  2 evaluations of direct/hhh   ${changed}`])
  expect(foldedLines([...both, stage('c')])[0]).toContain('changed: --all tells what')
})

test('large numbers', () => {
  expect([7, 94.62, 12_345, 193e6, 1.05e9, 2e12].map(count)).toEqual([
    '7',
    '94.6',
    '12.3k',
    '193M',
    '1.1B',
    '2T',
  ])
})
