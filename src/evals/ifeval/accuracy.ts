/** IFEval's four numbers: verdicts counted a prompt and an instruction, strict and loose. */
import type { Count } from '../eval.ts'
import type { IfevalVerdict } from './verdict.ts'

/** A prompt counts where every one of its instructions is followed. */
export interface IfevalAccuracy {
  readonly prompt: { readonly strict: Count; readonly loose: Count }
  readonly instruction: { readonly strict: Count; readonly loose: Count }
}

/** The counts over the prompts that were scored. */
export function ifevalAccuracy(verdicts: readonly IfevalVerdict[]): IfevalAccuracy {
  const strict = verdicts.map((verdict) => verdict.strict)
  const loose = verdicts.map((verdict) => verdict.loose)
  return {
    prompt: { strict: promptCount(strict), loose: promptCount(loose) },
    instruction: { strict: trueCount(strict.flat()), loose: trueCount(loose.flat()) },
  }
}

function promptCount(rows: readonly (readonly boolean[])[]): Count {
  return trueCount(rows.map((row) => row.every(Boolean)))
}

function trueCount(outcomes: readonly boolean[]): Count {
  return { k: outcomes.filter(Boolean).length, n: outcomes.length }
}
