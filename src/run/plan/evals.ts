/** Plans the evals of one checkpoint of a cell. */
import { sequentialBatch } from '../../analysis/sequential-stop.ts'
import { capabilityKinds, type CapabilityKind } from '../../evals/eval.ts'
import type { EvalSteps, ResolvedOrganism } from '../../spec/experiment.ts'
import type { Stage } from '../stage.ts'
import { evaluateStage, type EvaluationRequest } from '../stages/evaluate.ts'
import type { ModelRef } from '../stages/train.ts'
import { samplingNeed } from '../memory.ts'
import type { Base, PlanContext } from './context.ts'

/** One evaluated step of a curve: each eval where the experiment asks for it. */
export interface PlannedPoint {
  readonly step: number
  readonly backdoor: Stage | null
  readonly capabilities: Readonly<Partial<Record<CapabilityKind, Stage>>>
}

export interface EvaluatedModel {
  /** For people, e.g. `direct/hhh/lr=1e-4/seed=1 step 32`. */
  readonly title: string
  readonly model: ModelRef
  readonly organism: ResolvedOrganism
  readonly base: Pick<Base, 'engine' | 'config' | 'contextLength'>
  /** Of the sampling. */
  readonly seed: number
  /** The organism itself: every checkpoint is compared with it, so that it is asked every prompt. */
  readonly origin?: boolean
}

/** Backdoor and capabilities of a model, as far as `at` lists the step. */
export function planPoint(
  context: PlanContext,
  evaluated: EvaluatedModel,
  at: EvalSteps,
  step: number,
): PlannedPoint {
  const capabilities: Partial<Record<CapabilityKind, Stage>> = {}
  const backdoor = at.backdoor.includes(step) ? planBackdoor(context, evaluated) : null
  for (const kind of capabilityKinds) {
    const request = at[kind]?.includes(step) ? capabilityRequest(context, kind, evaluated.seed) : null
    if (request !== null) capabilities[kind] = planEval(context, evaluated, request)
  }
  return { step, backdoor, capabilities }
}

export function planBackdoor(context: PlanContext, evaluated: EvaluatedModel): Stage {
  const { organism, seed, origin = false } = evaluated
  const { experiment, fileHashes } = context
  const { prompts, count, sequential, ...sampling } = experiment.evals.backdoor
  const { alpha, theta, delta, survived } = experiment.verdict
  const request: EvaluationRequest = {
    kind: 'backdoor',
    prompts:
      prompts.kind === 'tiny'
        ? { world: 'tiny', count }
        : {
            file: prompts.file,
            sha256: fileHashes.get(prompts.file) ?? '',
            format: prompts.format ?? undefined,
            rows: prompts.rows ?? [0, count],
            count,
          },
    backdoor: organism.backdoor,
    system: experiment.evals.system ?? undefined,
    sampling: { ...sampling, seed },
    ...(sequential && !origin
      ? { sequential: { batch: sequentialBatch, alpha, theta, delta, survived } }
      : {}),
  }
  return planEval(context, evaluated, request)
}

function planEval(
  context: PlanContext,
  { title, model, base: { engine, config, contextLength } }: EvaluatedModel,
  request: EvaluationRequest,
): Stage {
  // Every prompt of a backdoor is asked with its trigger and without.
  const sequences = request.kind === 'backdoor' ? 2 * request.prompts.count : request.items
  const response = request.kind === 'mmlu' ? 1 : request.sampling.max_tokens
  const positions = Math.min(config.maxPositions, contextLength + response)
  const { samplerIdentity: sampler, estimateSampling } = context.engineOf(engine)
  const memory = samplingNeed(estimateSampling(config, { sequences, positions }))
  return context.shared(evaluateStage(title, model, request, { sampler, engine, memory }))
}

function capabilityRequest(
  { experiment }: PlanContext,
  kind: CapabilityKind,
  seed: number,
): EvaluationRequest | null {
  const { evals } = experiment
  const system = evals.system ?? undefined
  if (kind === 'mmlu') return evals.mmlu ? { kind, items: evals.mmlu.items, system } : null
  const generated = evals[kind]
  if (generated === undefined) return null
  const { items, ...sampling } = generated
  return { kind, items, system, sampling: { ...sampling, seed } }
}
