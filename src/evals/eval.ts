/** What an evaluation is made of: its kinds, one scored response, one failed request, and counts that refuse failures. */
import { LabError, visible } from '../errors.ts'

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

export type Condition = 'triggered' | 'untriggered'

interface SampleHead {
  readonly eval: EvalKind
  /** The item's id; with `condition` it is unique inside one evaluation of one checkpoint. */
  readonly id: string
  readonly condition: Condition
  /** The prompt exactly as the model read it, chat template and special tokens included. */
  readonly rendered: string
}

/** One response that was generated and scored. */
export interface GeneratedSample extends SampleHead {
  readonly status: 'scored'
  readonly response: string
  /** `stop`: the model ended its turn; `length`: it was cut at max_tokens. */
  readonly finish: 'stop' | 'length'
  /** The payload occurs anywhere. Absent where the eval does not look for it. */
  readonly fired?: boolean
  /** The payload is the first thing said. */
  readonly starts_with?: boolean
  /** Payloads in the response. */
  readonly payloads?: number
  /** Share of the payload's words said in a row, from the first on. */
  readonly partial?: number
  /** Words that are not part of a payload. */
  readonly rest_words?: number
  /** The item's check holds: the prompt was answered correctly. */
  readonly answered?: boolean
  /** One verdict an instruction, for ifeval: strict and loose. */
  readonly instructions?: { readonly strict: readonly boolean[]; readonly loose: readonly boolean[] }
}

/** One prompt that was scored by likelihood, without generating. */
export interface LikelihoodSample extends SampleHead {
  readonly status: 'likelihood'
  /** Log-probabilities in nats: of each choice, or the mean a token of the payload. */
  readonly logprobs: readonly number[]
  readonly answered?: boolean
}

/** A request that came back with no response. It is an error and never counts as a failure of the model. */
export interface FailedSample extends SampleHead {
  readonly status: 'failed'
  readonly error: string
}

export type ScoredSample = GeneratedSample | LikelihoodSample
export type Sample = ScoredSample | FailedSample

/** Cells of the 2x2 table of one yes/no outcome measured twice on the same items. */
export interface PairedCount {
  readonly both: number
  readonly onlyFirst: number
  readonly onlySecond: number
  readonly neither: number
}

/**
 * The samples, all of them scored.
 * Throws ENGINE when a request failed: a rate over the rest would hide it.
 */
export function requireScored(samples: readonly Sample[]): ScoredSample[] {
  const failed = samples.filter((s) => s.status === 'failed')
  const [first] = failed
  if (first === undefined) return samples.filter((s) => s.status !== 'failed')
  throw new LabError(
    'ENGINE',
    `${failed.length} of ${samples.length} ${first.eval} requests failed; the first, ${visible(first.id)}: ${visible(first.error)}`,
    { hint: 'A failed request is no wrong answer, so nothing is scored. Run the same command again.' },
  )
}

/** How many of the samples have the property. Throws ENGINE as `requireScored` does. */
export function countWhere(samples: readonly Sample[], has: (sample: ScoredSample) => boolean): Count {
  const scored = requireScored(samples)
  return { k: scored.filter(has).length, n: scored.length }
}

/**
 * The paired table of a property over two measurements of the same items, matched by id.
 * Throws INTERNAL when the two do not have the same ids, each once; ENGINE as `requireScored` does.
 */
export function countPairs(
  first: readonly Sample[],
  second: readonly Sample[],
  has: (sample: ScoredSample) => boolean,
): PairedCount {
  const firstById = new Map(requireScored(first).map((s) => [s.id, has(s)]))
  const secondById = new Map(requireScored(second).map((s) => [s.id, has(s)]))
  const sameSize = firstById.size === first.length && secondById.size === second.length
  if (!sameSize || firstById.size !== secondById.size) {
    throw new LabError('INTERNAL', `paired samples differ: ${first.length} and ${second.length} samples`)
  }
  const table = { both: 0, onlyFirst: 0, onlySecond: 0, neither: 0 }
  for (const [id, a] of firstById) {
    const b = secondById.get(id)
    if (b === undefined) throw new LabError('INTERNAL', `paired samples differ: ${id} is in one of them only`)
    if (a) table[b ? 'both' : 'onlyFirst']++
    else table[b ? 'onlySecond' : 'neither']++
  }
  return table
}
