/** Stages that people look at together: those of one organism, or of one technique on it, over all axis values and seeds. */
import type { Stage } from '../stage.ts'
import type { Plan } from './plan.ts'

/** Of each stage the organism or `organism/technique` that it belongs to first; stages of bases and prompts have none. */
export function stageGroups({ cells, organisms }: Plan): ReadonlyMap<Stage, string> {
  const groups = new Map<Stage, string>()
  const add = (name: string, stages: readonly (Stage | null | undefined)[]): void => {
    for (const stage of stages) if (stage && !groups.has(stage)) groups.set(stage, name)
  }
  for (const { spec, made, gate } of organisms) add(spec.name, [made?.dataset, made?.training, gate])
  for (const { cell, dataset, training, points, organismPoint } of cells) {
    const { name } = cell.organism
    add(name, [organismPoint.backdoor, ...Object.values(organismPoint.capabilities)])
    add(cell.technique, [dataset])
    add(`${name}/${cell.technique}`, [training])
    for (const { backdoor, capabilities } of points)
      add(`${name}/${cell.technique}`, [backdoor, ...Object.values(capabilities)])
  }
  return groups
}
