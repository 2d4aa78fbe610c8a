/** Versions of the scorers: part of the key of an experiment's evaluations. */
import type { EvalKind } from './eval.ts'

/** Raise one when its scorer says anything else of some response; a test keeps watch over a few. */
export const scorerVersions = { backdoor: 1, mmlu: 1, ifeval: 1, math: 2 } as const satisfies Record<
  EvalKind,
  number
>
