/** Plans the evals of one checkpoint of a cell. */
import { access } from 'node:fs/promises'
import { sequentialBatch } from '../../analysis/sequential-stop.ts'
import { capabilityKinds, type CapabilityKind } from '../../evals/eval.ts'
import { openTokenizer } from '../../model/tokenizer.ts'
import { filesOf } from '../../shards.ts'
import type { EvalSteps, ResolvedOrganism } from '../../spec/experiment.ts'
import { longestOf, promptReader } from '../any-model/local-model.ts'
import { samplingNeed } from '../memory.ts'
import type { Stage } from '../stage.ts'
import { evaluateStage, questionsOf, type EvaluationRequest } from '../stages/evaluate.ts'
import type { ModelRef } from '../stages/train.ts'
import type { Base, PlanContext } from './context.ts'
import { isUnseen } from './unseen.ts'
import { publicItems } from './public-items.ts'

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
  readonly base: Pick<Base, 'engine' | 'config' | 'contextLength' | 'tokenizer'>
  /** Of the sampling. */
  readonly seed: number
  /** The organism itself: every checkpoint is compared with it, so that it is asked every prompt. */
  readonly origin?: boolean
}

/** Backdoor and capabilities of a model, as far as `at` lists the step. */
export async function planPoint(
  context: PlanContext,
  evaluated: EvaluatedModel,
  at: EvalSteps,
  step: number,
): Promise<PlannedPoint> {
  const capabilities: Partial<Record<CapabilityKind, Stage>> = {}
  const backdoor = at.backdoor.includes(step) ? await planBackdoor(context, evaluated) : null
  for (const kind of capabilityKinds) {
    const request = at[kind]?.includes(step) ? capabilityRequest(context, kind, evaluated) : null
    if (request !== null) capabilities[kind] = await planEval(context, evaluated, request)
  }
  return { step, backdoor, capabilities }
}

export async function planBackdoor(context: PlanContext, evaluated: EvaluatedModel): Promise<Stage> {
  const { organism, seed, origin = false } = evaluated
  const { experiment, dataFile } = context
  const { prompts, count, sequential, ...sampling } = experiment.evals.backdoor
  const { alpha, theta, delta, survived } = experiment.verdict
  return planEval(context, evaluated, {
    kind: 'backdoor',
    prompts:
      prompts.kind === 'tiny'
        ? { world: 'tiny', count }
        : {
            file: dataFile(prompts).file,
            sha256: dataFile(prompts).sha256,
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
  })
}

async function planEval(
  context: PlanContext,
  { title, model, base }: EvaluatedModel,
  request: EvaluationRequest,
): Promise<Stage> {
  const positions = await positionsOf(context, base, request)
  const { samplerIdentity: sampler, estimateSampling } = context.engineOf(base.engine, 'evals')
  const sequences = sequencesOf(context, request)
  const tokens = sequences * Math.min(positions, PROMPT_TOKENS + responseOf(request))
  const cost = estimateSampling(base.config, { sequences, positions, tokens })
  const memory = samplingNeed(cost)
  return context.shared(evaluateStage(title, model, request, { sampler, engine: base.engine, cost, memory }))
}

/** Of a prompt, assumed in forecasts of time, where every response is as long as it may be. */
export const PROMPT_TOKENS = 200

/** Every prompt of a backdoor is asked with its trigger and without. */
function sequencesOf({ itemCounts }: PlanContext, request: EvaluationRequest): number {
  return request.kind === 'backdoor' ? 2 * request.prompts.count : (itemCounts[request.kind] ?? 1)
}

/** Tokens of the longest prompt with its response, as far as the model reads; before it has a tokenizer, or the prompts are downloaded, the most there can be. */
async function positionsOf(
  context: PlanContext,
  { config, contextLength, tokenizer: source }: EvaluatedModel['base'],
  request: EvaluationRequest,
): Promise<number> {
  if (!('folder' in source) || isUnseen(source.hash) || !(await promptsAreHere(request)))
    return Math.min(config.maxPositions, contextLength + responseOf(request))
  // Seeds change no prompt.
  const asked = JSON.stringify(request, (key, value: unknown) => (key === 'seed' ? undefined : value))
  return context.once(`${source.hash} ${config.maxPositions} ${asked}`, async () => {
    const plain = 'public' in request && request.public.plain
    const reader = promptReader(await openTokenizer(source.folder), config.maxPositions, plain)
    const { tasks } = await questionsOf(request, reader)
    return Math.max(
      1,
      longestOf(
        tasks.map(({ ask }) => ask),
        reader,
      ),
    )
  })
}

async function promptsAreHere(request: EvaluationRequest): Promise<boolean> {
  if ('public' in request) return !Object.values(request.public.sha256).some(isUnseen)
  if (!('prompts' in request) || !('file' in request.prompts)) return true
  const { file } = request.prompts
  return filesOf(file)
    .then((parts) => Promise.all(parts.map((part) => access(part))))
    .then(
      () => true,
      () => false,
    )
}

function responseOf(request: EvaluationRequest): number {
  if ('tiny' in request) return request.tiny.sampling?.max_tokens ?? 1
  return 'public' in request ? (request.public.settings.maxTokens ?? 1) : request.sampling.max_tokens
}

function capabilityRequest(
  { experiment, dataFile }: PlanContext,
  kind: CapabilityKind,
  { seed, base }: EvaluatedModel,
): EvaluationRequest | null {
  const { evals } = experiment
  const asked = evals[kind]
  if (asked === undefined) return null
  const { maxPositions } = base.config
  const set = publicItems(experiment, kind, dataFile, { maxPositions, seed })
  if (set !== null) return { kind, public: set }
  const { items, max_tokens: maxTokens, temperature, top_p } = asked
  if (items.kind !== 'tiny' || maxTokens === null) throw new RangeError(`${kind}: no items`)
  const sampling = kind === 'mmlu' ? null : { max_tokens: maxTokens, temperature, top_p, seed }
  return { kind, tiny: { count: items.count, system: evals.system ?? undefined, sampling } }
}
