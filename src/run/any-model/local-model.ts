/** A model folder of this machine as a respondent: the embedded engine, the folder's own tokenizer and chat template. */
import type { Engine, GenerateRequest, Sampler } from '../../engine/engine.ts'
import { letters } from '../../evals/mmlu/letters.ts'
import { letterTokens } from '../../evals/mmlu/letter-tokens.ts'
import { openTokenizer, type Tokenizer } from '../../model/tokenizer.ts'
import { partsOf, tokenizerFolderOf } from '../../model/weights-of.ts'
import type { Asking } from './asking.ts'
import type { Ask, AskContext, AskedPrompt, Reply, Respondent } from './respondent.ts'
import type { Sampling } from './settings.ts'

/** A respondent that can say beforehand what it cannot be asked. */
export interface LocalModel extends PromptReader, Pick<Respondent, 'title' | 'ask' | 'close'> {
  /** What its sampler says of how replies were made, as far as they were. */
  readonly notes: readonly string[]
}

/** What is known of the asks of a model before it is opened: its tokenizer and its context. */
export interface PromptReader extends Asking {
  readonly tokenizer: Tokenizer
  readonly maxPositions: number
  /** Why it cannot be asked: the prompt is empty, or leaves no room for what is wanted. Null if it can. */
  problemOf(ask: Ask): string | null
}

export interface LocalOptions {
  /** Plain text although there is a chat template. */
  readonly plain: boolean
  /** Asks that are computed together; what a crash loses at most. */
  readonly together: number
}

/** Throws BAD_MODEL for a folder that cannot be read. */
export async function openLocalModel(
  engine: Engine,
  folder: string,
  title: string,
  { plain, together }: LocalOptions,
): Promise<LocalModel> {
  const parts = await partsOf(folder)
  const tokenizer = await openTokenizer(await tokenizerFolderOf(parts))
  const { maxPositions } = parts.config
  const sampler = await engine.openSampler(folder)
  const model: OpenModel = { tokenizer, sampler, maxPositions }
  return {
    title,
    ...promptReader(tokenizer, maxPositions, plain),
    likelihoods: sampler.can.logprobs,
    get notes() {
      return sampler.notes ?? []
    },
    ask: (asks, context) => askInChunks(model, asks, together, context),
    close: () => sampler.close(),
  }
}

/** How a model with this tokenizer reads prompts on this machine. */
export function promptReader(tokenizer: Tokenizer, maxPositions: number, plain: boolean): PromptReader {
  return {
    chats: tokenizer.hasChatTemplate && !plain,
    texts: true,
    maxPositions,
    likelihoods: true,
    tokenizer,
    problemOf: (ask) => encode(ask, { tokenizer, maxPositions }).problem,
  }
}

/** What the encoding of an ask needs of a model. */
type Reader = Pick<PromptReader, 'tokenizer' | 'maxPositions'>

interface OpenModel extends Reader {
  readonly sampler: Sampler
}

/** What was asked as tokens, with what is to be scored after it; or why it cannot be asked. */
interface Encoded {
  readonly rendered: string
  readonly ids: readonly number[]
  readonly continuations: readonly (readonly number[])[]
  readonly problem: string | null
}

async function askInChunks(
  model: OpenModel,
  asks: readonly Ask[],
  together: number,
  context: AskContext,
): Promise<void> {
  for (let first = 0; first < asks.length;) {
    const kind = asks[first]?.wanted.kind
    const others = asks.findIndex((ask, i) => i > first && ask.wanted.kind !== kind)
    const end = Math.min(first + together, others === -1 ? asks.length : others)
    const replies = await askTogether(model, asks.slice(first, end), context)
    const start = first
    await context.replied(replies.map((reply, i) => ({ place: start + i, reply })))
    first = end
  }
}

/** Asks that want the same kind of reply. */
async function askTogether(model: OpenModel, asks: readonly Ask[], context: AskContext): Promise<Reply[]> {
  const { sampler, tokenizer } = model
  const encoded = asks.map((ask) => encode(ask, model))
  const usable = asks.flatMap((ask, i) => {
    const it = encoded[i]
    return it === undefined || it.problem !== null ? [] : [{ ask, ...it }]
  })
  const replies = new Map<string, Reply>()
  switch (asks[0]?.wanted.kind) {
    case 'response': {
      const results = await sampler.generate(
        usable.flatMap(({ ask: { id, wanted }, ids }) =>
          wanted.kind === 'response' ? [generateRequest(id, ids, wanted.sampling)] : [],
        ),
        context,
      )
      for (const [i, { id, tokens, finish }] of results.entries()) {
        const { rendered = '', ids = [] } = usable[i] ?? {}
        const counts = { prompt: ids.length, completion: tokens.length }
        const response = tokenizer.decode(tokens)
        replies.set(id, { kind: 'response', rendered, response, finish, tokens: counts })
      }
      break
    }
    case 'letters': {
      const results = await sampler.choiceLogprobs(
        usable.map(({ ask: { id }, ids, continuations }) => ({ id, prompt: ids, choices: continuations })),
        context,
      )
      for (const [i, { id, logprobs }] of results.entries())
        replies.set(id, { kind: 'letters', rendered: usable[i]?.rendered ?? '', logprobs })
      break
    }
    case 'likelihood': {
      const results = await sampler.sequenceLogprob(
        usable.map(({ ask: { id }, ids, continuations }) => ({
          id,
          prompt: ids,
          continuation: continuations[0] ?? [],
        })),
        context,
      )
      for (const [i, { id, logprob, tokens }] of results.entries()) {
        const rendered = usable[i]?.rendered ?? ''
        replies.set(id, { kind: 'likelihood', rendered, logprob: logprob / tokens })
      }
      break
    }
    case undefined:
      break
  }
  return asks.map(({ id }, i): Reply => {
    const { rendered = '', problem } = encoded[i] ?? {}
    return (
      replies.get(id) ?? { kind: 'error', rendered, error: problem ?? 'no reply', again: problem === null }
    )
  })
}

function encode({ prompt, wanted }: Ask, { tokenizer, maxPositions }: Reader): Encoded {
  const { rendered, ids } = encodePrompt(prompt, tokenizer)
  const continuations = continuationsOf(prompt, wanted, tokenizer)
  const room = roomOf(wanted, continuations)
  const problem =
    ids.length === 0
      ? 'the prompt is empty'
      : ids.length + room <= maxPositions
        ? null
        : `does not fit the context: a prompt of ${ids.length} tokens and ${room} after it, in ${maxPositions} positions`
  return { rendered, ids, continuations, problem }
}

/** Tokens after the prompt. */
const roomOf = (wanted: Ask['wanted'], continuations: Encoded['continuations']): number =>
  wanted.kind === 'response'
    ? wanted.sampling.max_tokens
    : Math.max(...continuations.map(({ length }) => length))

/** Tokens of the longest of the asks that can be asked, with what comes after it; 0 where there is none. */
export function longestOf(asks: readonly Ask[], reader: Reader): number {
  return asks.reduce((longest, ask) => {
    const { ids, continuations, problem } = encode(ask, reader)
    return problem === null ? Math.max(longest, ids.length + roomOf(ask.wanted, continuations)) : longest
  }, 0)
}

function encodePrompt(prompt: AskedPrompt, tokenizer: Tokenizer): { rendered: string; ids: number[] } {
  if (prompt.form === 'text') {
    const { text, ids } = tokenizer.opening
    return { rendered: text + prompt.text, ids: [...ids, ...tokenizer.encode(prompt.text)] }
  }
  const { messages, prefill = '' } = prompt
  const { rendered, ids } = tokenizer.encodeChat(messages)
  if (prefill === '') return { rendered, ids }
  return { rendered: rendered + prefill, ids: [...ids, ...continuationOf(prefill, tokenizer)] }
}

/** In a chat a text begins the assistant's turn; after plain text it comes behind a space, split off as lm-eval does. */
function continuationsOf(prompt: AskedPrompt, wanted: Ask['wanted'], tokenizer: Tokenizer) {
  if (wanted.kind === 'response') return []
  if (prompt.form === 'chat') {
    const texts = wanted.kind === 'letters' ? letters : [wanted.text]
    return texts.map((text) => continuationOf(text, tokenizer))
  }
  if (wanted.kind === 'letters') return letterTokens(prompt.text, tokenizer.encode).choices
  const before = tokenizer.encode(prompt.text).length
  return [tokenizer.encode(`${prompt.text} ${wanted.text}`).slice(before)]
}

/** Tokens of a text as it would begin a response, without the end of the turn. */
export function continuationOf(text: string, tokenizer: Tokenizer): number[] {
  return tokenizer.encodeCompletion(text).slice(0, -1)
}

export function generateRequest(id: string, prompt: readonly number[], sampling: Sampling): GenerateRequest {
  const { max_tokens: maxTokens, temperature, top_p: topP, seed } = sampling
  return { id, prompt, maxTokens, temperature, topP, seed }
}
