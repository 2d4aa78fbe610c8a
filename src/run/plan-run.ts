/** What a run would do: each stage with its state and its group, what could not be looked at, and what it all will take. */
import { checkDesign } from '../spec/design.ts'
import { expand } from '../spec/expand.ts'
import type { Cell, Experiment } from '../spec/experiment.ts'
import { loadExperiment } from '../spec/load.ts'
import { placementFor } from '../spec/placement.ts'
import { placedSections, type Section } from '../spec/placement-schema.ts'
import { changeExplainer } from './changes.ts'
import { openEngines } from './engines.ts'
import { forecast, type Forecast, unfitting, usesGpu } from './forecast.ts'
import { memoryForecast, type MemoryForecast } from './memory.ts'
import type { HubSources } from './plan/given.ts'
import { stageGroups } from './plan/groups.ts'
import { makePlan, type Plan } from './plan/plan.ts'
import { stagesOfUnseen, type Unseen } from './plan/unseen.ts'
import { runId } from './run-id.ts'
import { slurmOf } from './slurm/elsewhere.ts'
import { missingArtifacts, type Stage, type StageKind } from './stage.ts'

export interface PlanRequest {
  /** Path of the experiment file. */
  readonly spec: string
  /** `path=value` overrides. */
  readonly set: readonly string[]
  /** Root of the store. */
  readonly store: string
}

export interface PlannedStage {
  readonly kind: StageKind
  readonly title: string
  /** The organism, or `organism/technique`, that it belongs to; else its title without a seed. */
  readonly group: string
  readonly key: string
  /** `unknown`: it depends on what could not be looked at, and may be cached. */
  readonly state: 'cached' | 'run' | 'unknown'
  /** On this machine, or as a job of a cluster. */
  readonly place: 'here' | 'slurm'
  /** Which input differs from what the store has under the same title; null where nothing comparable exists. */
  readonly changed: string | null
  /** Estimated; null where a server decides. */
  readonly seconds: number | null
  /** Estimated peak memory of a training. */
  readonly memoryBytes: number | null
}

export interface PlanOutcome {
  readonly run: string
  readonly cells: number
  readonly stages: readonly PlannedStage[]
  /** Estimated seconds of what is to run, or may be, one stage after the other; without those that a server decides. */
  readonly seconds: number
  /** The most that one stage to run here takes, against what there is now; null if nothing is to be trained here. */
  readonly memory: MemoryForecast | null
  /** Models and data that the plan goes on without; a run refuses them. */
  readonly unseen: readonly Unseen[]
  readonly forecast: Forecast
  /** What forecasts of the torch engine rest on: an entry for all sections that assume the same, none where torch computes nothing. */
  readonly assumed: readonly Assumed[]
  /** Stages that cannot fit the GPUs that were named, in words; a run refuses them. */
  readonly refusals: readonly string[]
}

export interface Assumed {
  readonly sections: readonly Section[]
  /** Null: none was named, and times are told for an H100. */
  readonly gpu: string | null
  /** Shares of its peak. */
  readonly training: number
  readonly sampling: number
  /** Seconds of a training, and of a job that samples, until its model is read. */
  readonly start: number
}

/** Trains and samples nothing. Throws for what is wrong in the file, and tells what cannot be reached. */
export async function planRun(request: PlanRequest): Promise<PlanOutcome> {
  const experiment = await loadExperiment(request.spec, { set: [...request.set], absent: 'passed' })
  checkDesign(experiment)
  const cells = expand(experiment)
  const unseen: Unseen[] = []
  const lacking: number[] = []
  const plan = await planFar(experiment, cells, {
    store: request.store,
    unseen: (source) => unseen.push(source),
    lacking: (bytes) => lacking.push(bytes),
  })
  const store = { root: request.store }
  const unknown = stagesOfUnseen(plan.stages)
  const groups = stageGroups(plan)
  const groupOf = (stage: Stage): string => groups.get(stage) ?? stage.title
  const explainChange = changeExplainer(store)
  const jobOf = slurmOf(experiment)
  const isAway = (stage: Stage): boolean => jobOf(stage) !== null
  // Evaluations that run here share a server.
  const startOf = (stage: Stage): number =>
    stage.section !== null && usesGpu(stage) && (stage.kind === 'train' || isAway(stage))
      ? placementFor(experiment.spec, stage.section).torch.assume.start
      : 0
  const stages: PlannedStage[] = []
  const toRun: Stage[] = []
  for (const stage of plan.stages) {
    const { kind, title, key, seconds } = stage
    const missing = unknown.has(stage) || (await missingArtifacts(store, stage)).length > 0
    if (missing) toRun.push(stage)
    const state = unknown.has(stage) ? 'unknown' : missing ? 'run' : 'cached'
    stages.push({
      kind,
      title,
      group: groupOf(stage),
      key,
      state,
      place: isAway(stage) ? 'slurm' : 'here',
      changed: state === 'run' ? await explainChange(stage) : null,
      seconds: !missing ? 0 : isAsking(stage) ? null : seconds + startOf(stage),
      memoryBytes: stage.memory?.bytes ?? null,
    })
  }
  return {
    run: runId(experiment),
    cells: cells.length,
    stages,
    seconds: stages.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0),
    memory: memoryForecast(toRun.filter((stage) => !isAway(stage))),
    unseen,
    forecast: forecast(toRun, groupOf, { jobOf, startOf, lacking }),
    assumed: assumedOf(experiment, plan.stages),
    refusals: unfitting(toRun),
  }
}

const isAsking = ({ cost }: Stage): boolean => cost !== undefined && 'asking' in cost

async function planFar(
  experiment: Experiment,
  cells: readonly Cell[],
  sources: Required<Pick<HubSources, 'store' | 'unseen' | 'lacking'>>,
): Promise<Plan> {
  const engines = await openEngines(experiment)
  try {
    return await makePlan(experiment, cells, engines.engineOf, {
      ...sources,
      weights: false,
      data: false,
      signal: new AbortController().signal,
    })
  } finally {
    await engines.close()
  }
}

function assumedOf({ spec }: Experiment, stages: readonly Stage[]): Assumed[] {
  const sections = placedSections.filter((section) =>
    stages.some((stage) => stage.engine === 'torch' && stage.section === section),
  )
  const alike = Map.groupBy(sections, (section) => JSON.stringify(placementFor(spec, section).torch.assume))
  return [...alike.values()].flatMap((those) => {
    const [first] = those
    if (first === undefined) return []
    const { gpu, ...rest } = placementFor(spec, first).torch.assume
    return [{ sections: those, gpu: gpu?.name ?? null, ...rest }]
  })
}
