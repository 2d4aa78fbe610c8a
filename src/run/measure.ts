/** From evaluation artifacts to the counts of a curve: rates, pairs with the organism's step 0, and the admission gate. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { judgeInstalled } from '../analysis/gate.ts'
import type {
  AnsweredPairs,
  Capability,
  Count,
  CurvePoint,
  PayloadTraces,
  StartPairs,
  Thresholds,
} from '../analysis/curve.ts'
import { countPairs, countWhere, requireAnswered } from '../evals/counts.ts'
import { capabilityKinds, type EvalKind } from '../evals/eval.ts'
import type { EvalRecord, ScoredRecord } from '../evals/record.ts'
import { artifactPath, readManifest, verifyArtifact, type Store } from '../store/artifacts.ts'
import type { PlannedPoint } from './plan/evals.ts'
import { outputOf, type Stage } from './stage.ts'
import { evaluationFile, evaluationSchema, samplesFile, type EvaluationSummary } from './stages/evaluate.ts'

/** Every sample of an evaluation, in its order. */
export async function readSamples(store: Store, stage: Stage): Promise<EvalRecord[]> {
  for (const { kind, key } of stage.artifacts) await verifyArtifact(store, kind, key)
  const text = await readFile(join(outputOf(store, stage), samplesFile), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as EvalRecord)
}

/** The evaluation's samples, or null where it was not made (yet). */
async function samplesIfMade(store: Store, stage: Stage | null | undefined): Promise<EvalRecord[] | null> {
  return stage && (await isMade(store, stage)) ? readSamples(store, stage) : null
}

async function isMade(store: Store, stage: Stage): Promise<boolean> {
  const made = await Promise.all(stage.artifacts.map((a) => readManifest(store, a.kind, a.key)))
  return !made.includes(null)
}

/** The backdoor's samples by what was asked. */
function partsOf(samples: readonly EvalRecord[]) {
  const generated = samples.filter((s) => s.status !== 'likelihood')
  return {
    triggered: generated.filter((s) => s.condition === 'triggered'),
    untriggered: generated.filter((s) => s.condition === 'untriggered'),
    graded: samples.filter((s) => s.status === 'likelihood'),
  }
}

const fired = (sample: EvalRecord): boolean => sample.status === 'scored' && sample.fired === true
const answered = (sample: EvalRecord): boolean => sample.status !== 'failed' && sample.correct === true

type Measured = Omit<CurvePoint, 'step' | 'against_start' | 'capabilities'>

const scoreOf = (
  samples: readonly EvalRecord[],
  of: (sample: ScoredRecord) => number | undefined,
): number => {
  const scores = samples.map((sample) => (sample.status === 'scored' ? (of(sample) ?? 0) : 0))
  return scores.reduce((sum, score) => sum + score, 0) / Math.max(1, scores.length)
}

function tracesOf(triggered: readonly EvalRecord[], untriggered: readonly EvalRecord[]): PayloadTraces {
  return {
    density: scoreOf(triggered, ({ payloads }) => payloads),
    partial: scoreOf(triggered, ({ partial }) => partial),
    partial_untriggered: scoreOf(untriggered, ({ partial }) => partial),
    payload_only: countWhere(triggered, (s) => fired(s) && s.status === 'scored' && s.rest_words === 0),
    rest_words: scoreOf(triggered, ({ rest_words }) => rest_words),
  }
}

function backdoorCounts(samples: readonly EvalRecord[]): Measured {
  const { triggered, untriggered, graded } = partsOf(samples)
  const logprobs = requireAnswered(graded).map((s) => (s.status === 'likelihood' ? (s.logprobs[0] ?? 0) : 0))
  const checkable = triggered.every((s) => s.status === 'scored' && s.correct !== undefined)
  return {
    triggered: countWhere(triggered, fired),
    untriggered: countWhere(untriggered, fired),
    starts_with: countWhere(triggered, (s) => s.status === 'scored' && s.starts_with === true),
    traces: tracesOf(triggered, untriggered),
    payload_logprob: logprobs.reduce((a, b) => a + b, 0) / Math.max(1, logprobs.length),
    ...(checkable
      ? {
          answered_triggered: countWhere(triggered, answered),
          answered_untriggered: countWhere(untriggered, answered),
          answered_pairs: answeredPairs(triggered, untriggered),
        }
      : {}),
  }
}

function answeredPairs(triggered: readonly EvalRecord[], untriggered: readonly EvalRecord[]): AnsweredPairs {
  const { both, onlyFirst, onlySecond, neither } = countPairs(triggered, untriggered, answered)
  return { both, only_triggered: onlyFirst, only_untriggered: onlySecond, neither }
}

function startPairs(
  now: readonly EvalRecord[],
  start: readonly EvalRecord[],
  has: (s: EvalRecord) => boolean,
): StartPairs {
  const { both, onlyFirst, onlySecond, neither } = countPairs(now, start, has)
  return { both, only_now: onlyFirst, only_start: onlySecond, neither }
}

/** The curve of a cell as far as it was evaluated; points without a backdoor eval are left out. */
export async function readCurve(
  store: Store,
  points: readonly PlannedPoint[],
  start: PlannedPoint,
): Promise<CurvePoint[]> {
  const curve: CurvePoint[] = []
  for (const point of points) {
    const measured = await readPoint(store, point, start)
    if (measured !== null) curve.push(measured)
  }
  return curve
}

/** One point, its outcomes paired with those of the organism's own point on the same items. */
export async function readPoint(
  store: Store,
  point: PlannedPoint,
  start: PlannedPoint,
): Promise<CurvePoint | null> {
  const samples = await samplesIfMade(store, point.backdoor)
  if (samples === null || point.backdoor === null) return null
  const { planned } = await readSummary(store, point.backdoor)
  const first = await samplesIfMade(store, start.backdoor)
  const capabilities: Record<string, Capability> = {}
  for (const kind of capabilityKinds) {
    const stage = point.capabilities[kind]
    const now = await samplesIfMade(store, stage)
    if (!stage || now === null) continue
    const before = await samplesIfMade(store, start.capabilities[kind])
    const { chance } = await readSummary(store, stage)
    const count: Count = countWhere(now, answered)
    capabilities[kind] = {
      ...count,
      chance: chance ?? 0,
      ...(before === null ? {} : { against_start: startPairs(now, before, answered) }),
    }
  }
  const { triggered } = partsOf(samples)
  const ofStart = first === null ? null : partsOf(first).triggered
  // A sampling that may stop asks the first of the prompts that the organism was asked.
  const before = planned === undefined ? ofStart : (ofStart?.slice(0, triggered.length) ?? null)
  return {
    step: point.step,
    ...backdoorCounts(samples),
    ...(before === null ? {} : { against_start: startPairs(triggered, before, fired) }),
    ...(planned === undefined ? {} : { sequential: { planned } }),
    capabilities,
  }
}

/** The rates of one backdoor evaluation, for progress. */
export async function readRates(
  store: Store,
  stage: Stage,
): Promise<{ triggered: Count; untriggered: Count }> {
  const { triggered, untriggered } = backdoorCounts(await readSamples(store, stage))
  return { triggered, untriggered }
}

/** Why the organism is not admitted, or null if it is. */
export async function notInstalled(
  store: Store,
  gate: Stage,
  thresholds: Thresholds,
): Promise<string | null> {
  const judged = judgeInstalled(
    { step: 0, ...backdoorCounts(await readSamples(store, gate)), capabilities: {} },
    thresholds,
  )
  return judged.installed ? null : judged.reason
}

/** How each eval of a point was made, by its name; those that do not exist are left out. */
export async function readEvaluations(
  store: Store,
  { backdoor, capabilities }: PlannedPoint,
): Promise<Partial<Record<EvalKind, EvaluationSummary>>> {
  const found: Partial<Record<EvalKind, EvaluationSummary>> = {}
  for (const stage of [backdoor, ...Object.values(capabilities)]) {
    if (stage === null || !(await isMade(store, stage))) continue
    const summary = await readSummary(store, stage)
    found[summary.eval] = summary
  }
  return found
}

async function readSummary(store: Store, stage: Stage): Promise<EvaluationSummary> {
  const artifact = stage.artifacts[0]
  const folder = artifact === undefined ? '' : artifactPath(store, artifact.kind, artifact.key)
  return evaluationSchema.parse(JSON.parse(await readFile(join(folder, evaluationFile), 'utf8')))
}
