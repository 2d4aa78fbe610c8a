/** Requests of the Sampler interface put to a forward process, in batches that follow from their list alone; an abort is seen at once. */
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
import type { ForwardAnswer, ForwardKind, ForwardProcess, ForwardRequest } from './forward.ts'

/**
 * Requests that are computed together: in bfloat16 the numbers of one depend in their last bits on its companions, which are those
 * of the list of requests, whatever else is asked at the time.
 */
export const TOGETHER = 64

/** Takes what a reader of the results must know. */
type Note = (text: string) => void

/** Each response has a random stream of its own, named by its id and seed. */
export async function generateForward(
  process: ForwardProcess,
  requests: readonly GenerateRequest[],
  context: EngineContext,
  note: Note,
): Promise<GenerateResult[]> {
  const asked = requests.map(({ id, prompt, maxTokens, temperature, topP, seed }) => {
    return { id, prompt, max_tokens: maxTokens, temperature, top_p: topP, seed }
  })
  const answers = await inBatches(process, 'generate', asked, context, note)
  return named(requests, answers)
}

export async function choicesForward(
  process: ForwardProcess,
  requests: readonly ChoiceRequest[],
  context: EngineContext,
  note: Note,
): Promise<ChoiceResult[]> {
  const asked = requests.map(({ prompt, choices }) => ({ prompt, choices }))
  const answers = await inBatches(process, 'choices', asked, context, note)
  return named(requests, answers)
}

export async function sequencesForward(
  process: ForwardProcess,
  requests: readonly SequenceRequest[],
  context: EngineContext,
  note: Note,
): Promise<SequenceResult[]> {
  const asked = requests.map(({ prompt, continuation }) => ({ prompt, continuation }))
  const answers = await inBatches(process, 'sequence', asked, context, note)
  return named(requests, answers)
}

/** Answers in request order; all batches are handed over at once. */
async function inBatches<K extends ForwardKind>(
  process: ForwardProcess,
  kind: K,
  requests: readonly ForwardRequest<K>[],
  context: EngineContext,
  note: Note,
): Promise<ForwardAnswer<K>[]> {
  const batches = Array.from({ length: Math.ceil(requests.length / TOGETHER) }, (_, i) =>
    process.ask(kind, requests.slice(i * TOGETHER, (i + 1) * TOGETHER)),
  )
  const done = await unlessAborted(context, Promise.all(batches))
  if (done.some(({ parts }) => parts > 1))
    note('batches that did not fit the memory were computed in parts, which another time may be others')
  return done.flatMap(({ answers }) => answers)
}

function named<A extends object>(requests: readonly { readonly id: string }[], answers: readonly A[]) {
  return answers.map((answer, i) => ({ id: requests[i]?.id ?? '', ...answer }))
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
