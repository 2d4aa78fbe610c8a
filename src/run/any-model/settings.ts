/** What a person asks for: which evals, on which files, and how responses are sampled. */
import type { Backdoor } from '../../data/backdoor.ts'
import type { EvalKind } from '../../evals/eval.ts'
import type { MathProtocol } from '../../evals/math/boxed.ts'

export interface EvalSettings {
  readonly evals: readonly EvalKind[]
  /** File of each eval's items; `mmlu.dev` holds the questions that are shown with their answers. */
  readonly items: Readonly<Partial<Record<EvalKind | 'mmlu.dev', string>>>
  /** Items of each eval, drawn from its file by `seed`; all where the file has fewer. */
  readonly count: number
  /** Of the draw and of the sampling. */
  readonly seed: number
  readonly backdoor: Pick<Backdoor, 'trigger' | 'position' | 'payload'>
  readonly system: string | undefined
  readonly temperature: number
  /** Default: by eval, and at most half of the model's context. */
  readonly maxTokens: number | undefined
  /** Answered questions before each of MMLU's. */
  readonly shots: 0 | 5
  readonly protocol: MathProtocol
}

/** What responses are given room for: a payload or two; lm-eval's for IFEval; a worked solution; a letter in its tag. */
const usualTokens = { backdoor: 64, ifeval: 1280, math: 1024, mmlu: 16 } as const

/** The longest response of an eval. A model with a short context gets half of it for the response, half for the prompt. */
export function maxTokensOf(
  kind: EvalKind,
  { maxTokens }: Pick<EvalSettings, 'maxTokens'>,
  maxPositions: number | null,
): number {
  if (maxTokens !== undefined) return maxTokens
  return Math.min(usualTokens[kind], Math.max(1, Math.floor((maxPositions ?? Infinity) / 2)))
}
