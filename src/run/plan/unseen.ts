/** Models and data that a plan could not look at: what stands for them in keys, and which stages cannot be known for that. */
import type { Stage } from '../stage.ts'

/** A source that a plan goes on without. */
export interface Unseen {
  readonly kind: 'model' | 'data'
  /** As the experiment names it: a path, `hub:organisation/name`. */
  readonly source: string
  /** Why it was not looked at. */
  readonly why: string
}

const mark = 'unseen:'

/** Stands where the hash of the content would. No stage of it is ever made: a run refuses what a plan goes on without. */
export const unseenHash = (source: string): string => `${mark}${source}`
export const isUnseen = (hash: string): boolean => hash.startsWith(mark)

/** Those whose keys are unknown, of stages that are ordered needs before users. */
export function stagesOfUnseen(stages: readonly Stage[]): ReadonlySet<Stage> {
  const unknown = new Set<Stage>()
  for (const stage of stages) {
    const own = stage.artifacts.some(({ inputs }) => JSON.stringify(inputs).includes(`"${mark}`))
    if (own || stage.needs.some((need) => unknown.has(need))) unknown.add(stage)
  }
  return unknown
}
