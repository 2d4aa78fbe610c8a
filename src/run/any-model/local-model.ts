/** A model folder of this machine as a respondent: the embedded engine, the folder's own tokenizer and chat template. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine, Sampler } from '../../engine/engine.ts'
import { letters } from '../../evals/mmlu/letters.ts'
import { letterTokens } from '../../evals/mmlu/letter-tokens.ts'
import { openTokenizer, type Tokenizer } from '../../model/tokenizer.ts'
import { partsOf, tokenizerFolderOf, type ModelParts } from '../../model/weights-of.ts'
import { hashFile, keyOf } from '../../store/canonical.ts'
import { continuationOf, generateRequest } from '../evals/request.ts'
import { checkSamples } from '../memory.ts'
import type { Ask, AskContext, AskedPrompt, Reply, Respondent } from './respondent.ts'

/** Asks that are computed together; what a crash loses at most. */
const chunk = 32

/** Throws BAD_MODEL for a folder that cannot be read, BAD_INPUT where its weights do not fit the memory. */
export async function openLocalModel(
  engine: Engine,
  folder: string,
  title: string,
  options: { readonly plain: boolean },
): Promise<Respondent> {
  const parts = await partsOf(folder)
  const tokenizer = await openTokenizer(await tokenizerFolderOf(parts))
  await checkSamples(folder)
  const { maxPositions } = parts.config
  const sampler = await engine.openSampler(folder)
  const model: OpenModel = { tokenizer, sampler, maxPositions }
  return {
    title,
    identity: {
      kind: 'folder',
      files: await hashOf(parts),
      tokenizer: tokenizer.hash,
      engine: { ...engine.samplerIdentity },
    },
    chats: tokenizer.hasChatTemplate && !options.plain,
    texts: true,
    maxPositions,
    likelihoods: sampler.can.logprobs,
    ask: (asks, context) => askInChunks(model, asks, context),
    close: () => sampler.close(),
  }
}

interface OpenModel {
  readonly tokenizer: Tokenizer
  readonly sampler: Sampler
  readonly maxPositions: number
}

/** What was asked as tokens, with what is to be scored after it; or why it cannot be asked. */
interface Encoded {
  readonly rendered: string
  readonly ids: readonly number[]
  readonly continuations: readonly (readonly number[])[]
  readonly problem: string | null
}

async function askInChunks(model: OpenModel, asks: readonly Ask[], context: AskContext): Promise<void> {
  for (let first = 0; first < asks.length;) {
    const kind = asks[first]?.wanted.kind
    const others = asks.findIndex((ask, i) => i > first && ask.wanted.kind !== kind)
    const end = Math.min(first + chunk, others === -1 ? asks.length : others)
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
        usable.flatMap(({ ask: { id, wanted }, rendered, ids }) =>
          wanted.kind === 'response' ? [generateRequest({ id, rendered, ids }, wanted.sampling)] : [],
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
    return replies.get(id) ?? { kind: 'error', rendered, error: problem ?? 'no reply', again: false }
  })
}

function encode({ prompt, wanted }: Ask, { tokenizer, maxPositions }: OpenModel): Encoded {
  const { rendered, ids } = encodePrompt(prompt, tokenizer)
  const continuations = continuationsOf(prompt, wanted, tokenizer)
  const room =
    wanted.kind === 'response'
      ? wanted.sampling.max_tokens
      : Math.max(...continuations.map(({ length }) => length))
  const problem =
    ids.length === 0
      ? 'the prompt is empty'
      : ids.length + room <= maxPositions
        ? null
        : `does not fit the context: a prompt of ${ids.length} tokens and ${room} after it, in ${maxPositions} positions`
  return { rendered, ids, continuations, problem }
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

/** One hash of the configuration and weights of the model and of the adapters on it. */
async function hashOf({ base, adapters }: ModelParts): Promise<string> {
  const hashes: Record<string, string> = {}
  for (const [i, folder] of [base, ...adapters].entries()) {
    for (const name of (await readdir(folder)).toSorted()) {
      if (/^(?:config|adapter_config|generation_config)\.json$|\.safetensors$/u.test(name))
        hashes[`${i}/${name}`] = await hashFile(join(folder, name))
    }
  }
  return keyOf(hashes)
}
