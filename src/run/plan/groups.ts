/** Stages that people look at together: those of one organism, or of one technique on it, over all axis values and seeds. */
import type { Stage } from '../stage.ts'
import type { Plan } from './plan.ts'

/** Of each stage the organism or `organism/technique` that it belongs to first, and the base of its trainings over all seeds. */
export function stageGroups({ cells, organisms, stages }: Plan): ReadonlyMap<Stage, string> {
  const groups = new Map<Stage, string>()
  const add = (name: string, stages: readonly (Stage | null | undefined)[]): void => {
    for (const stage of stages) if (stage && !groups.has(stage)) groups.set(stage, name)
  }
  for (const { spec, made, gate } of organisms) {
    const responses = made?.responses
    add(spec.name, [responses?.needs[0], responses, made?.dataset, made?.training, gate])
  }
  for (const { cell, dataset, training, points, organismPoint } of cells) {
    const { name } = cell.organism
    add(name, [organismPoint.backdoor, ...Object.values(organismPoint.capabilities)])
    add(cell.technique, [dataset])
    add(`${name}/${cell.technique}`, [training])
    for (const { backdoor, capabilities } of points)
      add(`${name}/${cell.technique}`, [backdoor, ...Object.values(capabilities)])
  }
  // Prompts and responses are told by their titles, which differ by the seed of a base alone.
  for (const stage of stages) add(stage.title.replace(/ seed \d+$/, ''), [stage])
  return groups
}
