/** What makes a training possible as written, whatever engine runs it. */
import { LabError } from '../errors.ts'
import type { TrainJob } from './engine.ts'

function wrong(what: string): LabError {
  return new LabError('BAD_INPUT', `the recipe cannot be trained: ${what}`)
}

/** Throws BAD_INPUT for a job that cannot be run as written. */
export function checkJob({ start, recipe, checkpoints }: TrainJob): void {
  if (recipe.method === 'lora') {
    const { rank, alpha, targets } = recipe.lora
    if (start.from === 'random') throw wrong('adapters cannot stand beside random weights')
    if (!Number.isInteger(rank) || rank < 1) throw wrong(`the rank is ${rank}`)
    if (!(alpha > 0)) throw wrong(`alpha is ${alpha}`)
    if (targets.length === 0) throw wrong('no layer is a target')
  }
  for (const key of ['batch', 'steps'] as const) {
    if (!Number.isInteger(recipe[key]) || recipe[key] < 1) throw wrong(`${key} is ${recipe[key]}`)
  }
  if (recipe.optimizer === 'soap') {
    for (const key of ['precondition_frequency', 'max_precond_dim', 'one_sided_above'] as const) {
      if (!Number.isInteger(recipe[key]) || recipe[key] < 1) throw wrong(`${key} is ${recipe[key]}`)
    }
  }
  if (!(recipe.warmup >= 0 && recipe.warmup < 1)) throw wrong(`warmup is ${recipe.warmup}`)
  for (const [i, step] of checkpoints.entries()) {
    if (!Number.isInteger(step) || step < 1 || step > recipe.steps || step <= (checkpoints[i - 1] ?? 0)) {
      throw wrong(`checkpoints must ascend within 1..${recipe.steps}, got ${checkpoints.join(', ')}`)
    }
  }
}
