/** Results of a run in which an artifact may turn out damaged only when it is read: its stage has failed then, the rest stands. */
import { LabError } from '../../errors.ts'
import type { Results } from '../../report/results.ts'
import type { Unfinished } from '../execute.ts'
import { missingArtifacts, type Stage } from '../stage.ts'
import { assembleResults, type AssembleRequest } from './assemble.ts'

/**
 * Assembles the results; stages whose artifacts are found damaged, and so were moved aside, fail as they would have in the
 * execution, and `failed` is told of each. Throws STORE where the damage is no stage's.
 */
export async function settleResults(
  request: AssembleRequest,
  failed: (stage: Stage, why: string) => void,
): Promise<Results> {
  const { store, plan } = request
  const unfinished = new Map<Stage, Unfinished>(request.execution.unfinished)
  for (;;) {
    try {
      return await assembleResults({ ...request, execution: { unfinished } })
    } catch (error) {
      if (!(error instanceof LabError) || error.code !== 'STORE') throw error
      const gone = []
      for (const stage of plan.stages) {
        if (!unfinished.has(stage) && (await missingArtifacts(store, stage)).length > 0) gone.push(stage)
      }
      if (gone.length === 0) throw error
      const why = error.render()
      for (const stage of gone) {
        unfinished.set(stage, { state: 'failed', why })
        failed(stage, why)
      }
    }
  }
}
