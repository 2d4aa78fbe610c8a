/** One cell as results.json has it: its curve, its verdict with the recoveries that followed, and its training. */
import { findReturn } from '../../analysis/returns.ts'
import type { JudgeInput } from '../../analysis/evidence.ts'
import { judge } from '../../analysis/verdict.ts'
import type { Thresholds } from '../../analysis/curve.ts'
import type { Cell } from '../../report/results.ts'
import { artifactPath, readManifest, type Store } from '../../store/artifacts.ts'
import type { Execution } from '../execute.ts'
import { notInstalled, readCurve, readPoint } from '../measure.ts'
import type { Plan, PlannedCell } from '../plan/plan.ts'
import type { Stage } from '../stage.ts'
import { reportedCurve } from './point.ts'
import { dataFacts, readMetrics, recipeFacts, trainingCurve, weightDistance } from './facts.ts'

export interface CellContext {
  readonly store: Store
  readonly plan: Plan
  readonly execution: Execution
  readonly thresholds: Thresholds
  /** Takes limits of what is told, for the notes of the run. */
  readonly note: (text: string) => void
}

export async function cellResult(context: CellContext, planned: PlannedCell): Promise<Cell> {
  const { store, plan, thresholds } = context
  const { cell, organism, technique, training, dataset, start } = planned
  const head = {
    id: cell.id,
    organism: organism.spec.name,
    organism_id: organism.id,
    technique: cell.technique,
    after: cell.after,
    axes: cell.axes,
    seed: cell.seed,
  }
  const absent = { ...head, verdict: null, curves: [] as [] }
  const closed = await closedGate(context, planned)
  if (closed !== null) return { ...absent, status: 'not_installed', reason: closed }
  const unfinished = await whyUnfinished(context, planned)
  if (unfinished !== null) return { ...absent, status: 'failed', reason: unfinished, error: unfinished }

  const points = await readCurve(store, planned.points, planned.organismPoint)
  const followers = plan.cells.filter((other) => other.cell.after === cell.id)
  const recoveries = await Promise.all(
    followers.map(async (other) => ({
      technique: other.cell.technique,
      points: await readCurve(store, other.points, other.organismPoint),
    })),
  )
  const judgement = judge(
    {
      points,
      start: await startPoint(store, planned),
      recoveries: recoveries.filter((r) => r.points.length > 0),
    },
    thresholds,
  )
  const metrics = await readMetrics(store, training)
  const { data } = technique
  const source = data.kind === 'prompts' ? data : organism.made?.spec.data
  if (source === undefined) throw new RangeError(`${cell.id} has no data`)
  return {
    ...head,
    status: 'done',
    verdict: judgement.verdict,
    label: judgement.label,
    reason: judgement.reason,
    recovery_tested: judgement.recovery_tested,
    untested: [...judgement.untested],
    deciding_n: judgement.deciding_n,
    return: findReturn(points, thresholds).found,
    measurable: [...judgement.measurable],
    excluded: judgement.excluded.map(({ name, why }) => ({ name, why })),
    recoveries: followers.map((other) => other.cell.id),
    curves: await reportedCurve(store, planned.points, points),
    training: trainingCurve(metrics),
    data: await dataFacts(store, source, dataset.needs[0] ?? dataset, dataset),
    recipe: recipeFacts(technique.train),
    blue_loss_before: metrics[0]?.loss ?? null,
    weight_distance: await weightDistance(store, start, training, (why) =>
      context.note(`No weight distance of ${cell.id}: ${why}.`),
    ),
    tokens: metrics.reduce((sum, step) => sum + step.tokens, 0),
    artifacts: {
      dataset: dataset.key,
      train: training.key,
      ...Object.fromEntries(
        planned.points.flatMap(({ step, backdoor }) =>
          backdoor ? [[`backdoor ${step}`, backdoor.key]] : [],
        ),
      ),
    },
  }
}

/** The organism's own point, with which every training of a chain is compared. */
async function startPoint(store: Store, planned: PlannedCell): Promise<JudgeInput['start']> {
  const point = await readPoint(store, planned.organismPoint, planned.organismPoint)
  if (point === null) throw new RangeError(`${planned.cell.id}: the organism was not evaluated`)
  return point
}

/** Why the cell's organism is not admitted: decided by what was measured, whatever has been trained since. */
async function closedGate(
  { store, thresholds }: CellContext,
  { organism }: PlannedCell,
): Promise<string | null> {
  if (organism.spec.admission !== 'require') return null
  const made = await Promise.all(
    organism.gate.artifacts.map(({ kind, key }) => readManifest(store, kind, key)),
  )
  return made.includes(null) ? null : notInstalled(store, organism.gate, thresholds)
}

/** Why the cell has no verdict: its training or one of its evaluations did not end. */
async function whyUnfinished(
  { store, execution }: CellContext,
  planned: PlannedCell,
): Promise<string | null> {
  const evaluations = [planned.organismPoint, ...planned.points].flatMap(({ backdoor, capabilities }) => [
    ...(backdoor ? [backdoor] : []),
    ...Object.values(capabilities),
  ])
  const stages = [...upstream(planned.training), planned.training, ...evaluations]
  // What went wrong says more than what is therefore missing.
  for (const stage of stages) {
    const ended = execution.unfinished.get(stage)
    if (ended) return ended.why
  }
  for (const stage of stages) {
    for (const { kind, key } of stage.artifacts) {
      if ((await readManifest(store, kind, key)) !== null) continue
      return `${stage.title} is not done: ${artifactPath(store, kind, key)} does not exist`
    }
  }
  return null
}

function upstream(stage: Stage): Stage[] {
  return stage.needs.flatMap((need) => [...upstream(need), need])
}
