/** One checkpoint as results.json has it: its counts with their intervals, and how each eval was made. */
import type { Count, CurvePoint } from '../../analysis/curve.ts'
import { wilson, worstCase, type Interval } from '../../analysis/intervals.ts'
import { anytimeInterval } from '../../analysis/sequential.ts'
import type { CurvePoint as ReportedPoint, MeasuredCount } from '../../report/results.ts'
import type { Store } from '../../store/artifacts.ts'
import { readEvaluations } from '../measure.ts'
import type { PlannedPoint } from '../plan/evals.ts'

/** The points of a measured curve, each with what its evaluations say of themselves. */
export async function reportedCurve(
  store: Store,
  planned: readonly PlannedPoint[],
  curve: readonly CurvePoint[],
): Promise<ReportedPoint[]> {
  const reported: ReportedPoint[] = []
  for (const point of curve) {
    const plan = planned.find(({ step }) => step === point.step)
    reported.push(reportedPoint(point, plan ? await readEvaluations(store, plan) : {}))
  }
  return reported
}

type Evaluations = Awaited<ReturnType<typeof readEvaluations>>

/** Intervals are Wilson's, and anytime-valid where sampling could stop; requests that failed widen them to the worst case. */
export function reportedPoint(point: CurvePoint, evaluations: Evaluations): ReportedPoint {
  const errors = evaluations.backdoor?.errors ?? 0
  const method = point.sequential ? anytimeInterval : wilson
  const measured = (count: Count): MeasuredCount => withInterval(count, errors, method)
  const { traces, answered_triggered, answered_untriggered, capabilities, ...rest } = point
  return {
    ...rest,
    triggered: measured(point.triggered),
    untriggered: measured(point.untriggered),
    starts_with: measured(point.starts_with),
    ...(answered_triggered && { answered_triggered: measured(answered_triggered) }),
    ...(answered_untriggered && { answered_untriggered: measured(answered_untriggered) }),
    ...(traces && { traces: { ...traces, payload_only: measured(traces.payload_only) } }),
    capabilities: Object.fromEntries(
      Object.entries(capabilities).map(([name, { chance, against_start, ...count }]) => [
        name,
        {
          ...withInterval(count, errorsOf(evaluations, name), wilson),
          chance,
          ...(against_start && { against_start }),
        },
      ]),
    ),
    evaluations: Object.fromEntries(
      Object.entries(evaluations).map(([name, { n, errors, prompt_set, sampling, system, notes }]) => [
        name,
        { n, errors, prompt_set, sampling, system, ...(notes && { notes: [...notes] }) },
      ]),
    ),
  }
}

function errorsOf(evaluations: Evaluations, name: string): number {
  return Object.values(evaluations).find((evaluation) => evaluation.eval === name)?.errors ?? 0
}

function withInterval(count: Count, errors: number, method: (count: Count) => Interval): MeasuredCount {
  const { lower, upper } = worstCase(count, errors, method)
  return { ...count, interval: [lower, upper] }
}
