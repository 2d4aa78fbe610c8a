/** What evaluations are: their kinds, and counts. */
export const evalKinds = ['backdoor', 'mmlu', 'ifeval', 'math'] as const
export type EvalKind = (typeof evalKinds)[number]

/** The evals that measure usefulness; `backdoor` measures the organism. */
export const capabilityKinds = ['mmlu', 'ifeval', 'math'] as const
export type CapabilityKind = (typeof capabilityKinds)[number]

/** `k` successes of `n` tries. */
export interface Count {
  readonly k: number
  readonly n: number
}
