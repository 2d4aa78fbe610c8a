/** Requests of the Sampler interface put to a forward process; an abort is seen at once. */
import { interrupted } from '../../errors.ts'
import { rng } from '../../rng.ts'
import type {
  ChoiceRequest,
  ChoiceResult,
  EngineContext,
  GenerateRequest,
  GenerateResult,
  SequenceRequest,
  SequenceResult,
} from '../engine.ts'
import type { ForwardProcess } from './forward.ts'

/** Each response has a random stream of its own, named by its id and seed: its companions do not change it. */
export function generateForward(
  process: ForwardProcess,
  requests: readonly GenerateRequest[],
  context: EngineContext,
): Promise<GenerateResult[]> {
  return unlessAborted(
    context,
    Promise.all(
      requests.map(async ({ id, prompt, maxTokens, temperature, topP, seed }) => {
        const request = {
          kind: 'generate',
          prompt,
          max_tokens: maxTokens,
          temperature,
          top_p: topP,
          seed,
        } as const
        const { tokens, finish } = await process.ask(request, id)
        return { id, tokens, finish }
      }),
    ),
  )
}

export function choicesForward(
  process: ForwardProcess,
  requests: readonly ChoiceRequest[],
  context: EngineContext,
): Promise<ChoiceResult[]> {
  const asked = requests.map(async ({ id, prompt, choices }) => {
    const { logprobs } = await process.ask({ kind: 'choices', prompt, choices })
    return { id, logprobs }
  })
  return unlessAborted(context, Promise.all(asked))
}

export function sequencesForward(
  process: ForwardProcess,
  requests: readonly SequenceRequest[],
  context: EngineContext,
): Promise<SequenceResult[]> {
  const asked = requests.map(async ({ id, prompt, continuation }) => {
    const { logprob, tokens } = await process.ask({ kind: 'sequence', prompt, continuation })
    return { id, logprob, tokens }
  })
  return unlessAborted(context, Promise.all(asked))
}

/** Servers take whole numbers: one for the seed and the id, which together name the random stream of a response. */
export const streamSeed = (id: string, seed: number): number => rng(seed, 'sample', id).int(2 ** 31)

/** Rejects with INTERRUPTED as soon as the signal fires. */
export async function unlessAborted<T>({ signal }: EngineContext, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(interrupted())
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    // Whichever lost is nobody's concern.
    work.catch(() => {})
    aborted.promise.catch(() => {})
  }
}
