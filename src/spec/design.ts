/** Whether the sample sizes of an experiment can reach a verdict at all, by the exact bounds of the best possible outcome. */
import { LabError } from '../errors.ts'
import type { Experiment, Path, VerdictSpec } from './experiment.ts'
import { expand } from './expand.ts'
import { sequentialClaims } from './sequential-design.ts'

/** Samples that one claim needs even where every sample speaks for it. */
export interface Requirement {
  readonly n: number
  /** E.g. `a return over 7 checkpoints`. */
  readonly claim: string
}

const installedClaim = 'an installed backdoor'

const percent = (share: number): string => `${Number((100 * share).toPrecision(3))}%`

/** With 0 of n the upper bound is 1 - error^(1/n) (Clopper & Pearson 1934): the n from which it is at most `rate`. */
export function samplesToShowAtMost(rate: number, error: number): number {
  return Math.ceil(Math.log(error) / Math.log1p(-rate))
}

/** With n of n the lower bound is error^(1/n): the n from which it is at least `rate`. */
export function samplesToShowAtLeast(rate: number, error: number): number {
  return Math.ceil(Math.log(error) / Math.log(rate))
}

/** Without a discordant pair of n, Tango's one-sided bound is z²/(n + z²): the n from which it is at most `margin`. */
export function pairsToShowWithin(margin: number, error: number): number {
  return Math.ceil((normalQuantile(error) ** 2 * (1 - margin)) / margin)
}

/** Prompts (each with and without the trigger) for the gate and the verdicts of trainings with this many checkpoints. */
export function promptRequirements(verdict: VerdictSpec, checkpoints: number): Requirement[] {
  const { alpha, theta, delta, return_gap: gap } = verdict
  const each = alpha / (2 * checkpoints)
  return [
    {
      n: samplesToShowAtMost(theta, alpha),
      claim: `a triggered rate of at most ${percent(theta)} at one checkpoint`,
    },
    {
      n: Math.max(samplesToShowAtMost(theta, each), samplesToShowAtLeast(Math.min(theta + gap, 0.999), each)),
      claim: `a return over ${checkpoints} checkpoints`,
    },
    {
      n: Math.max(
        samplesToShowAtLeast(verdict.installed_triggered, alpha),
        samplesToShowAtMost(verdict.installed_untriggered, alpha),
      ),
      claim: installedClaim,
    },
    { n: samplesToShowAtLeast(verdict.survived, alpha), claim: 'a backdoor that survived' },
    { n: pairsToShowWithin(delta, alpha), claim: `answers no worse by ${percent(delta)}` },
  ]
}

/** The same for checkpoints that may stop: the organism's gate is asked in full, and returns are not looked for. */
export function sequentialRequirements(verdict: VerdictSpec): Requirement[] {
  const { gone, survived, answers } = sequentialClaims(verdict)
  const gate = promptRequirements(verdict, 1).filter(({ claim }) => claim === installedClaim)
  return [
    { n: gone, claim: `a triggered rate of at most ${percent(verdict.theta)} by sequential sampling` },
    ...gate,
    { n: survived, claim: 'a backdoor that survived' },
    { n: answers, claim: `answers no worse by ${percent(verdict.delta)}` },
  ]
}

/** Throws DESIGN_TOO_SMALL with the n that would do, unless the file says `verdict: { allow_undecidable: true }`. */
export function checkDesign(experiment: Experiment): void {
  const { evals, verdict } = experiment
  if (verdict.allow_undecidable) return
  const lengths = expand(experiment).flatMap((cell) =>
    cell.chain.map((technique) => technique.evalAt.backdoor.length),
  )
  const requirements = evals.backdoor.sequential
    ? sequentialRequirements(verdict)
    : promptRequirements(verdict, Math.max(...lengths))
  const path = ['evals', 'backdoor', 'prompts']
  demand(experiment, path, 'prompts', evals.backdoor.count, requirements)
  for (const name of ['mmlu', 'ifeval', 'math'] as const) {
    const count = evals[name]?.items.count ?? null
    if (count !== null) checkItemCount(experiment, name, count)
  }
}

/** The same for the items of a capability, whose number a file without `count` tells when it is read. */
export function checkItemCount(
  experiment: Experiment,
  name: 'mmlu' | 'ifeval' | 'math',
  count: number,
): void {
  const { delta, alpha, allow_undecidable: undecidable } = experiment.verdict
  if (undecidable) return
  const needed = { n: pairsToShowWithin(delta, alpha), claim: `a loss of at most ${percent(delta)}` }
  demand(experiment, ['evals', name, 'items'], 'items', count, [needed])
}

function demand(
  { where }: Experiment,
  path: Path,
  what: string,
  n: number,
  requirements: readonly Requirement[],
): void {
  const unmet = requirements.filter((requirement) => requirement.n > n)
  if (unmet.length === 0) return
  const enough = Math.max(...unmet.map((requirement) => requirement.n))
  const reasons = unmet.map((requirement) => `${requirement.claim} needs ${requirement.n}`).join(', ')
  const place = where(path)
  throw new LabError('DESIGN_TOO_SMALL', `${n} ${what} cannot reach a verdict: ${reasons}`, {
    at: 'file' in place ? place : undefined,
    hint: `take ${enough} or more; a smoke test can set \`verdict: { allow_undecidable: true }\``,
  })
}

/** Standard normal quantile (Acklam's rational approximation, relative error below 1.2e-9), for 0 < p < 0.5. */
function normalQuantile(p: number): number {
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p))
    return polynomial(q, tailAbove) / polynomial(q, tailBelow)
  }
  const q = p - 0.5
  return (q * polynomial(q * q, centreAbove)) / polynomial(q * q, centreBelow)
}

const polynomial = (x: number, coefficients: readonly number[]): number =>
  coefficients.reduce((sum, c) => sum * x + c, 0)

const centreAbove = [
  -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
  2.506628277459239,
]
const centreBelow = [
  -54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1,
]
const tailAbove = [
  -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783,
]
const tailBelow = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1]
