/** Plans a run again from its record: the same stages with the same keys, wherever the command is given. */
import { expand } from '../spec/expand.ts'
import type { Experiment } from '../spec/experiment.ts'
import { parseExperiment } from '../spec/load.ts'
import { type Engines, openEngines } from './engines.ts'
import type { HubSources } from './plan/given.ts'
import { makePlan, type Plan } from './plan/plan.ts'
import type { RunRecord } from './records.ts'

export async function experimentOf({ spec }: RunRecord): Promise<Experiment> {
  const parsed = await parseExperiment(spec.text, spec.path, { set: spec.set, likeTexts: spec.like })
  return { ...parsed, source: { ...parsed.source, file: spec.file } }
}

/** The plan, with the engines that it names, which the caller closes. What lies on a hub is as the run has downloaded it. */
export async function replan(
  record: RunRecord,
  sources: HubSources,
): Promise<{ readonly plan: Plan; readonly engines: Engines }> {
  const experiment = await experimentOf(record)
  const engines = await openEngines(experiment)
  try {
    return { plan: await makePlan(experiment, expand(experiment), engines.engineOf, sources), engines }
  } catch (error) {
    await engines.close()
    throw error
  }
}
