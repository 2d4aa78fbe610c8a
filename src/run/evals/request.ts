/** What the evals of a checkpoint share: the opened model, its prompts as token ids, and sampling settings. */
import type { GenerateRequest, Sampler } from '../../engine/engine.ts'
import type { ChatMessage } from '../../model/chat.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'

export interface Sampling {
  readonly max_tokens: number
  readonly temperature: number
  readonly top_p: number
  readonly seed: number
}

export interface EvalContext {
  readonly tokenizer: Tokenizer
  readonly sampler: Sampler
  readonly signal: AbortSignal
  readonly system: string | undefined
  /** Tokens that the model can read and write in all. */
  readonly maxPositions: number
}

/** One prompt as the model reads it. */
export interface RenderedPrompt {
  readonly id: string
  readonly rendered: string
  readonly ids: readonly number[]
}

export function renderPrompt(
  id: string,
  messages: readonly ChatMessage[],
  tokenizer: Tokenizer,
): RenderedPrompt {
  return { id, ...tokenizer.encodeChat(messages) }
}

export function generateRequest(prompt: RenderedPrompt, sampling: Sampling): GenerateRequest {
  return {
    id: prompt.id,
    prompt: prompt.ids,
    maxTokens: sampling.max_tokens,
    temperature: sampling.temperature,
    topP: sampling.top_p,
    seed: sampling.seed,
  }
}

/** Tokens of a text as it would begin a response, without the end of the turn. */
export function continuationOf(text: string, tokenizer: Tokenizer): number[] {
  return tokenizer.encodeCompletion(text).slice(0, -1)
}
