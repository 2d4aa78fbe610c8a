/** Learning rates against values of transformers 5.23 (`get_scheduler(name, ..., num_warmup_steps=3, num_training_steps=10)`). */
import { expect, it } from 'vitest'
import type { Recipe } from '../engine.ts'
import { learningRate } from './schedule.ts'

const rates = (schedule: Recipe['schedule'], warmup: number): number[] =>
  Array.from({ length: 10 }, (_, i) => {
    const recipe = { schedule, warmup, steps: 10, lr: 1 } as Recipe
    return Number(learningRate(recipe, i + 1).toFixed(6))
  })

it('follows the cosine schedule', () => {
  expect(rates('cosine', 0.3)).toEqual([
    0, 0.333333, 0.666667, 1, 0.950484, 0.811745, 0.61126, 0.38874, 0.188255, 0.049516,
  ])
})

it('follows the linear and the constant schedule', () => {
  expect(rates('linear', 0.3)).toEqual([
    0, 0.333333, 0.666667, 1, 0.857143, 0.714286, 0.571429, 0.428571, 0.285714, 0.142857,
  ])
  expect(rates('constant', 0.3)).toEqual([0, 0.333333, 0.666667, 1, 1, 1, 1, 1, 1, 1])
})

it('rounds the warmup up, and needs none', () => {
  expect(rates('constant', 0.21).slice(0, 4)).toEqual([0, 0.333333, 0.666667, 1])
  expect(rates('cosine', 0)[0]).toBe(1)
})
