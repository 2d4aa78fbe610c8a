/** Follows references: entries of the file become the self-contained bases, organisms and techniques of cells. */
import { configOfShape } from '../model/published-shapes.ts'
import type { BaseSpec } from './base-schema.ts'
import type { DataSpec, PromptsSpec } from './data-schema.ts'
import { resolveSource } from './data-source.ts'
import { resolveRecipe } from './recipe.ts'
import type { EvalsSpec, ExperimentSpec, OrganismSpec, TechniqueSpec } from './schema.ts'
import type { BudgetSpec } from './teacher-schema.ts'
import type {
  EndpointTeacher,
  EvalSteps,
  Generation,
  PromptSource,
  ResolvedBase,
  ResolvedCapability,
  ResolvedData,
  ResolvedEvals,
  ResolvedOrganism,
  ResolvedTechnique,
  Teacher,
} from './experiment.ts'

/** Questions drawn from a split of the tiny world where the file does not say. */
const tinyRows = 4096

/** The base of a name, as it is in one cell. */
export type BaseOf = (name: string) => ResolvedBase

export function resolveBase(
  spec: ExperimentSpec,
  name: string,
  base: BaseSpec,
  cellSeed: number,
): ResolvedBase {
  const { engine = 'embedded' } = base
  if ('folder' in base || 'hub' in base) {
    const { context } = base
    const shape = base.shape === undefined ? null : configOfShape(base.shape, `bases.${name}.shape`)
    return 'folder' in base
      ? { kind: 'folder', name, engine, folder: base.folder, context, shape }
      : { kind: 'hub', name, engine, repo: base.hub, revision: base.revision, context, shape }
  }
  const { data, ...train } = base.pretrain
  return {
    kind: 'pretrained',
    name,
    engine,
    seed: base.seed ?? cellSeed,
    architecture: { vocab: base.tokenizer.vocab, ...base.architecture },
    corpus:
      'prompts' in data
        ? { ...resolveData(spec, data, basesOf(spec, cellSeed)), loss: data.loss }
        : { kind: 'tiny', rows: data.rows, loss: data.loss },
    train: resolveRecipe(train),
  }
}

/** Bases as the file describes them. No base is, over any number of teachers, its own teacher (references.ts). */
export function basesOf(spec: ExperimentSpec, cellSeed: number): BaseOf {
  return (name) => {
    const base = spec.bases[name]
    if (base === undefined) throw new RangeError(`no base ${name}`)
    return resolveBase(spec, name, base, cellSeed)
  }
}

export function resolveOrganism(
  spec: ExperimentSpec,
  name: string,
  organism: OrganismSpec,
  { cellSeed, baseOf }: { readonly cellSeed: number; readonly baseOf: BaseOf },
): ResolvedOrganism {
  const { control, data, train, checkpoint } = organism
  return {
    name,
    seed: organism.seed ?? cellSeed,
    system: organism.system ?? null,
    backdoor: organism.backdoor,
    control,
    admission: organism.admission ?? (control ? 'absent' : 'require'),
    made:
      data === undefined || train === undefined
        ? null
        : {
            data: resolveData(spec, data, baseOf),
            train: resolveRecipe(train),
            checkpoint: checkpoint ?? train.steps,
          },
  }
}

export function resolveTechnique(
  spec: ExperimentSpec,
  name: string,
  technique: TechniqueSpec,
  baseOf: BaseOf,
): ResolvedTechnique {
  const evalAt = evalSteps(spec.evals, technique.train.steps)
  const evaluated = new Set(
    [evalAt.backdoor, evalAt.mmlu, evalAt.ifeval, evalAt.math].flatMap((at) => at ?? []),
  )
  return {
    name,
    system: technique.system ?? null,
    data:
      technique.data === 'organism/benign'
        ? { kind: 'organism/benign' }
        : resolveData(spec, technique.data, baseOf),
    train: resolveRecipe(technique.train),
    evalAt,
    checkpoints: [...evaluated].filter((step) => step > 0).sort((a, b) => a - b),
  }
}

/** Steps past the end are left out; 0 and the last step are always there. The backdoor is measured wherever anything is. */
function evalSteps(evals: EvalsSpec, last: number): EvalSteps {
  const { mmlu, ifeval, math } = evals
  const elsewhere = [mmlu, ifeval, math].flatMap((capability) =>
    capability ? (capability.at ?? evals.at) : [],
  )
  const backdoor = [...(evals.backdoor.at ?? evals.at), ...elsewhere].sort((a, b) => a - b)
  const within = (at: readonly number[] = evals.at): number[] => [
    ...new Set([0, ...at.filter((step) => step > 0 && step < last), last]),
  ]
  return {
    backdoor: within(backdoor),
    ...(evals.mmlu && { mmlu: within(evals.mmlu.at) }),
    ...(evals.ifeval && { ifeval: within(evals.ifeval.at) }),
    ...(evals.math && { math: within(evals.math.at) }),
  }
}

function resolveData(
  spec: ExperimentSpec,
  data: Omit<DataSpec, 'strip'> & { strip?: DataSpec['strip'] },
  baseOf: BaseOf,
): ResolvedData {
  const prompts = resolvePrompts(data.prompts)
  return {
    kind: 'prompts',
    prompts,
    teacher: resolveTeacher(spec, data.teacher, baseOf),
    strip: data.strip ?? null,
    rows: data.rows ?? (prompts.kind === 'tiny' ? tinyRows : null),
  }
}

/** Names of files have been replaced by absolute paths when the experiment was loaded. */
export function resolvePrompts(prompts: PromptsSpec): PromptSource {
  if (typeof prompts === 'string') {
    return { kind: 'tiny', split: prompts.slice('tiny/'.length) as 'red' | 'blue' }
  }
  return { ...resolveSource(prompts), format: prompts.format ?? null, rows: prompts.rows ?? null }
}

function resolveTeacher(spec: ExperimentSpec, name: string, baseOf: BaseOf): Teacher {
  const teacher = spec.teachers[name]
  if (teacher === undefined) throw new RangeError(`no teacher ${name}`)
  if ('scripted' in teacher) return { kind: 'scripted', voice: teacher.scripted }
  if ('recorded' in teacher) return { kind: 'recorded' }
  const { persona, temperature, top_p: topP, max_tokens: maxTokens, seed = null } = teacher
  const sampled = { persona, temperature, topP, maxTokens, seed }
  if ('base' in teacher) return { kind: 'base', name, base: baseOf(teacher.base), ...sampled }
  const { endpoint: url, model, concurrency, budget } = teacher
  return {
    kind: 'endpoint',
    url,
    model,
    apiKeyEnv: teacher.api_key_env ?? null,
    ...sampled,
    concurrency,
    timeoutMs: Math.round(1000 * teacher.timeout),
    budget: budget === undefined ? null : resolveBudget(budget),
  }
}

function resolveBudget(budget: BudgetSpec): EndpointTeacher['budget'] {
  if ('tokens' in budget) return budget
  const { usd, usd_per_mtok_in: usdPerMtokIn, usd_per_mtok_out: usdPerMtokOut } = budget
  return { usd, usdPerMtokIn, usdPerMtokOut }
}

function generation({ max_tokens, temperature, top_p }: Generation): Generation {
  return { max_tokens, temperature, top_p }
}

/** Longest response to an item of the tiny world. */
const tinyTokens = 48

type CapabilitySpec = Omit<NonNullable<EvalsSpec['mmlu']>, 'form' | 'shots' | 'dev'>

function resolveCapability(spec: CapabilitySpec): ResolvedCapability {
  const { items, max_tokens, temperature = 0, top_p = 1, protocol = 'reference' } = spec
  const tiny = typeof items === 'number'
  return {
    items: tiny
      ? { kind: 'tiny', count: items }
      : { kind: 'public', source: resolveSource(items), count: items.count ?? null },
    protocol,
    max_tokens: max_tokens ?? (tiny ? tinyTokens : null),
    temperature,
    top_p,
  }
}

export function resolveEvals({ evals }: ExperimentSpec): ResolvedEvals {
  const { backdoor, mmlu, ifeval, math } = evals
  const { prompts } = backdoor
  return {
    system: evals.system ?? null,
    backdoor: {
      ...(typeof prompts === 'number'
        ? { prompts: { kind: 'tiny', split: 'eval' }, count: prompts }
        : { prompts: resolvePrompts(prompts), count: prompts.count ?? prompts.rows[1] - prompts.rows[0] }),
      ...generation(backdoor),
      sequential: backdoor.sequential,
    },
    ...(mmlu && {
      mmlu: {
        ...resolveCapability(mmlu),
        form: mmlu.form ?? 'chat',
        shots: mmlu.shots ?? 0,
        dev: mmlu.dev === undefined ? null : resolveSource(mmlu.dev),
      },
    }),
    ...(ifeval && { ifeval: resolveCapability(ifeval) }),
    ...(math && { math: resolveCapability(math) }),
  }
}
