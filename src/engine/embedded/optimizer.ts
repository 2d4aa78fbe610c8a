/** What updates the parameters of a training: one interface, its state as named arrays that are saved and resumed. */
import type { ParameterSpec } from '../../model/config.ts'
import type { Recipe, RecipeOptimizer } from '../engine.ts'
import { openAdamw } from './adamw.ts'
import type { Kernels } from './kernels.ts'
import { soapElements } from './soap-cost.ts'
import { openSoap } from './soap.ts'

export interface Update {
  /** Flat, in the order of the specs; changed in place. */
  readonly weights: Float32Array
  readonly gradient: Float32Array
  /** From 1. */
  readonly step: number
  readonly lr: number
  /** What the gradient is multiplied by: clipping. */
  readonly gradScale: number
}

export interface Optimizer {
  /** All that it remembers between steps; zero before the first. Names are those of the tensors in optimizer.safetensors. */
  readonly state: Readonly<Record<string, Float32Array>>
  step(update: Update): void
}

/** A fresh optimizer for the flat vector that `specs` describe. */
export function openOptimizer(k: Kernels, recipe: Recipe, specs: readonly ParameterSpec[]): Optimizer {
  return recipe.optimizer === 'soap' ? openSoap(k, recipe, specs) : openAdamw(k, recipe, specs)
}

/** Elements that the optimizer of a recipe holds for such parameters: its state, and what it works in. */
export function optimizerElements(recipe: RecipeOptimizer, specs: readonly ParameterSpec[]): number {
  const moments = 2 * specs.reduce((n, { size }) => n + size, 0)
  return recipe.optimizer === 'soap' ? moments + soapElements(specs, recipe) : moments
}

/** What the gradient is multiplied by so that its norm is at most `clip` (as torch.nn.utils.clip_grad_norm_). */
export function clipScale(gradNorm: number, clip: number): number {
  return Math.min(1, clip / (gradNorm + 1e-6))
}
