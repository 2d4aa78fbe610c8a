/** Forecasts add what stages take: a row a group, disk with one training's states at a time. */
import { expect, test } from 'vitest'
import type { Cost } from '../engine/engine.ts'
import { forecast } from './forecast.ts'
import { folderStage, type Stage } from './stage.ts'

const cost: Cost = {
  parameters: 10,
  trained: 10,
  tokens: 1000,
  flops: 60_000,
  seconds: 7200,
  memoryBytes: 100,
  disk: { weights: 20, state: 120 },
  keepsStates: 'newest',
  device: { gpu: 'h100', count: 4, bytes: 50, parts: [], availableBytes: 80e9 },
}

function stage(kind: 'evaluate' | 'dataset', title: string, more: Partial<Stage> = {}): Stage {
  const made = folderStage({ kind, title, inputs: {}, needs: [], seconds: 1, fill: () => Promise.resolve() })
  return { ...made, ...more }
}
const checkpoints = (n: number): Stage['artifacts'] =>
  Array.from({ length: n }, (_, i) => ({ kind: 'checkpoint', key: String(i), title: 'c', inputs: {} }))
const training = (title: string, n: number, more: Partial<Cost> = {}): Stage =>
  stage('dataset', title, {
    kind: 'train',
    artifacts: checkpoints(n),
    cost: { training: { ...cost, ...more } },
  })

test('GPU hours, tokens and checkpoints add up; states are those of the largest training', () => {
  const stages = [
    stage('dataset', 'free of cost'),
    training('a 1', 2),
    training('a 2', 3),
    training('b', 1, { disk: { weights: 20, state: 500 } }),
    stage('evaluate', 'a asked', {
      cost: { sampling: { parameters: 10, memoryBytes: 1, flops: 2 * 10 * 77, seconds: 5 } },
    }),
  ]
  const { rows, total } = forecast(stages, ({ title }) => title.slice(0, 1))
  expect(rows.map(({ work, what, stages }) => [work, what, stages])).toEqual([
    ['training', 'a', 2],
    ['training', 'b', 1],
    ['sampling', 'a', 1],
  ])
  expect(rows[0]).toMatchObject({ tokens: 2000, gpuHours: 16, disk: { checkpoints: 100, states: 360 } })
  expect(rows[2]).toMatchObject({ tokens: 77, gpuHours: null })
  expect(total).toEqual({ gpuHours: 24, flops: 180_000 + 1540, diskBytes: 120 + 1500, downloadBytes: 0 })
})

test('a job is billed for the GPUs that it asks for, and those that its work does not use are told', () => {
  const stages = [training('a', 1), training('b', 1)]
  const { rows } = forecast(stages, ({ title }) => title, {
    jobOf: ({ title }) => ({ nodes: title === 'a' ? 2 : 1, gpus: 4 }),
  })
  expect(rows.map(({ notes }) => notes)).toEqual([
    ['a job that trains asks for 8 GPUs and uses 4: all are counted'],
    [],
  ])
  expect(rows.map(({ gpuHours }) => gpuHours)).toEqual([2 * 8, 2 * 4])
  const { device: _, ...onProcessors } = cost
  const here = stage('dataset', 'c', { kind: 'train', cost: { training: onProcessors } })
  expect(forecast([here], () => 'c').total.gpuHours).toBeNull()
  const billed = forecast([here], () => 'c', { jobOf: () => ({ nodes: 1, gpus: 2 }) })
  expect(billed.total.gpuHours).toBe(4)
})

test('where every checkpoint keeps its state, they add up too', () => {
  const { rows } = forecast([training('a', 4, { keepsStates: 'all' })], () => 'a')
  expect(rows[0]?.disk).toEqual({ checkpoints: 4 * 140, states: 360 })
})
