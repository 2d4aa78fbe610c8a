/** Learning rates by step, as the Hugging Face Trainer computes them, so that both engines follow the same curve. */
import type { Recipe } from '../engine.ts'

/** Share of the peak that is left after a share of the steps that follow the warmup. */
const decay: Record<Recipe['schedule'], (progress: number) => number> = {
  constant: () => 1,
  linear: (progress) => Math.max(0, 1 - progress),
  cosine: (progress) => Math.max(0, 0.5 * (1 + Math.cos(Math.PI * progress))),
}

/**
 * Rate of the update of `step` (from 1). Source: transformers/optimization.py: warmup takes ceil(warmup · steps) updates
 * from 0 upwards (the first of them is 0), then a half cosine or a line falls towards 0, which the update after the last
 * would reach.
 */
export function learningRate(recipe: Recipe, step: number): number {
  const warmupSteps = Math.ceil(recipe.warmup * recipe.steps)
  const done = step - 1
  if (done < warmupSteps) return (recipe.lr * done) / warmupSteps
  const progress = (done - warmupSteps) / Math.max(1, recipe.steps - warmupSteps)
  return recipe.lr * decay[recipe.schedule](progress)
}
