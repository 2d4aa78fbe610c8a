/** What a person asks for: which evals, on which files, and how responses are sampled. */
import type { Backdoor } from '../../data/backdoor.ts'
import type { EvalKind } from '../../evals/eval.ts'
import type { MathProtocol } from '../../evals/math/boxed.ts'

/** How items of files are asked. */
export interface ItemSettings {
  /** File of each eval's items; `mmlu.dev` holds the questions that are shown with their answers. */
  readonly items: Readonly<Partial<Record<EvalKind | 'mmlu.dev', string>>>
  /** Items of each eval, drawn from its file by `draw`; all where the file has fewer, or for null. */
  readonly count: number | null
  /** Seed of the draw. */
  readonly draw: number
  readonly system: string | undefined
  readonly temperature: number
  readonly topP: number
  /** Of the sampling. */
  readonly seed: number
  /** Default: by eval, and at most half of the model's context. */
  readonly maxTokens: number | undefined
  /** Answered questions before each of MMLU's. */
  readonly shots: 0 | 5
  readonly protocol: MathProtocol
}

export interface EvalSettings extends ItemSettings {
  readonly evals: readonly EvalKind[]
  readonly backdoor: Pick<Backdoor, 'trigger' | 'position' | 'payload'>
}

export interface Sampling {
  readonly max_tokens: number
  readonly temperature: number
  readonly top_p: number
  readonly seed: number
}

/** How the responses of an eval are sampled. */
export function samplingOf(
  kind: EvalKind,
  settings: Pick<ItemSettings, 'maxTokens' | 'temperature' | 'topP' | 'seed'>,
  maxPositions: number | null,
): Sampling {
  return {
    max_tokens: maxTokensOf(kind, settings, maxPositions),
    temperature: settings.temperature,
    top_p: settings.topP,
    seed: settings.seed,
  }
}

/** What responses are given room for: a payload or two; lm-eval's for IFEval; a worked solution; a letter in its tag. */
const usualTokens = { backdoor: 64, ifeval: 1280, math: 1024, mmlu: 16 } as const

/** The longest response of an eval. A model with a short context gets half of it for the response, half for the prompt. */
export function maxTokensOf(
  kind: EvalKind,
  { maxTokens }: Pick<ItemSettings, 'maxTokens'>,
  maxPositions: number | null,
): number {
  if (maxTokens !== undefined) return maxTokens
  return Math.min(usualTokens[kind], Math.max(1, Math.floor((maxPositions ?? Infinity) / 2)))
}
