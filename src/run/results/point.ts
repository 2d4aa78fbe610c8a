/** One checkpoint as results.json has it: its counts with their intervals, and how each eval was made. */
import type { Capability, Count, CurvePoint } from '../../analysis/curve.ts'
import { wilson, worstCase, type Interval } from '../../analysis/intervals.ts'
import { anytimeInterval } from '../../analysis/sequential.ts'
import type { Tally } from '../../evals/score/tally.ts'
import type { CurvePoint as ReportedPoint, MeasuredCount } from '../../report/results.ts'
import type { Store } from '../../store/artifacts.ts'
import { rateOf } from '../any-model/rates.ts'
import { readEvaluations } from '../measure.ts'
import type { PlannedPoint } from '../plan/evals.ts'
import type { EvaluationSummary } from '../stages/evaluate.ts'

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
  const { backdoor } = evaluations
  const errors = backdoor?.errors.length ?? 0
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
    ...(traces && {
      traces: {
        ...traces,
        payload_only: measured(traces.payload_only),
        rest_languages: backdoor?.rest_languages ?? {},
      },
    }),
    capabilities: Object.fromEntries(
      Object.entries(capabilities).map(([name, capability]) => [
        name,
        reportedCapability(capability, evaluationOf(evaluations, name)),
      ]),
    ),
    evaluations: Object.fromEntries(
      Object.entries(evaluations).map(([name, evaluation]) => [name, reportedEvaluation(evaluation)]),
    ),
  }
}

/** What the scored items give, and what their errors leave open. */
function reportedCapability(
  { chance, against_start, k, n }: Capability,
  evaluation: EvaluationSummary | undefined,
): ReportedPoint['capabilities'][string] {
  const { rates = {}, macro = null, subjects = {} } = evaluation ?? {}
  // IFEval's four; the others have one rate, which is this.
  const several = Object.keys(rates).length > 1
  return {
    ...ratedCount({ k, n, errors: evaluation?.errors.length ?? 0 }),
    chance,
    ...(against_start && { against_start }),
    ...(several && {
      rates: Object.fromEntries(Object.entries(rates).map(([name, rate]) => [name, ratedCount(rate)])),
    }),
    ...(macro && {
      macro,
      subjects: Object.fromEntries(Object.entries(subjects).map(([name, { k, n }]) => [name, { k, n }])),
    }),
  }
}

function ratedCount({ k, n, errors }: Tally) {
  const { lower, upper } = rateOf({ k, n, errors }).worst_case
  return {
    ...withInterval({ k, n }, errors, wilson),
    errors,
    worst_case: [lower, upper] as [number, number],
  }
}

function reportedEvaluation(evaluation: EvaluationSummary): ReportedPoint['evaluations'][string] {
  const { items, available, errors, prompt_set, sampling, notes } = evaluation
  const { system = null, ...form } = evaluation.form
  return {
    n: items,
    available,
    errors: errors.length,
    prompt_set,
    sampling,
    system: system === null ? null : String(system),
    form,
    ...(notes && { notes }),
  }
}

function evaluationOf(evaluations: Evaluations, name: string): EvaluationSummary | undefined {
  return Object.values(evaluations).find((evaluation) => evaluation.eval === name)
}

function withInterval(count: Count, errors: number, method: (count: Count) => Interval): MeasuredCount {
  const { lower, upper } = worstCase(count, errors, method)
  return { ...count, interval: [lower, upper] }
}
