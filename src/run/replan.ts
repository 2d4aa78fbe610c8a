/** Plans a run again from its record: the same stages with the same keys, wherever the command is given. */
import type { Engine } from '../engine/engine.ts'
import { expand } from '../spec/expand.ts'
import type { Experiment } from '../spec/experiment.ts'
import { parseExperiment } from '../spec/load.ts'
import type { ModelSources } from './plan/given.ts'
import { makePlan, type Plan } from './plan/plan.ts'
import type { RunRecord } from './records.ts'

export async function experimentOf({ spec }: RunRecord): Promise<Experiment> {
  const parsed = await parseExperiment(spec.text, spec.path, spec.set)
  return { ...parsed, source: { ...parsed.source, file: spec.file } }
}

/** Models of a hub are those that the run has downloaded. */
export async function replan(record: RunRecord, engine: Engine, sources: ModelSources): Promise<Plan> {
  const experiment = await experimentOf(record)
  return await makePlan(experiment, expand(experiment), engine, sources)
}
