/** From the body of a request to what the sampler is asked: prompts as token ids, a random stream for every choice. */
import type { Sampler } from '../../engine/engine.ts'
import { LabError } from '../../errors.ts'
import type { ModelConfig } from '../../model/config.ts'
import type { Tokenizer } from '../../model/tokenizer.ts'
import { Refusal } from './refusal.ts'
import type { ChatBody, CompletionBody } from './schema.ts'
import type { Speech } from './speak.ts'

/** The model that a server speaks for. */
export interface ServedModel {
  readonly name: string
  readonly config: Pick<ModelConfig, 'vocabSize' | 'maxPositions'>
  readonly tokenizer: Tokenizer
  readonly sampler: Sampler
}

export interface Ask {
  /** In the order of their index: the n of the first prompt, those of the second. */
  readonly choices: readonly Speech[]
  readonly promptTokens: number
  readonly logprobs: boolean
  readonly stream: boolean
  readonly includeUsage: boolean
}

/** Longest answer where the request names no length; OpenAI's own for completions. */
const chatTokens = 512
const completionTokens = 16

/** Below it sampling is greedy: the sampler divides by the temperature. */
const leastTemperature = 1e-4

/** `arrival` names the random stream of a request without a seed. Throws a Refusal. */
export function askOfChat(model: ServedModel, body: ChatBody, arrival: number): Ask {
  let prompt: readonly number[]
  try {
    prompt = model.tokenizer.encodeChat(body.messages).ids
  } catch (error) {
    // The template refuses the conversation, or there is none.
    if (!(error instanceof LabError)) throw error
    throw new Refusal(400, error.message, { param: 'messages', cause: error })
  }
  const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? chatTokens
  const topLogprobs = body.logprobs ? (body.top_logprobs ?? 0) : undefined
  return newAsk(model, body, { prompts: [prompt], param: 'messages', maxTokens, topLogprobs, arrival })
}

/** Texts are encoded as they stand: special tokens in them are recognised, none is added. Throws a Refusal. */
export function askOfCompletion(model: ServedModel, body: CompletionBody, arrival: number): Ask {
  const prompts = body.prompt.map((prompt) =>
    typeof prompt === 'string' ? model.tokenizer.encode(prompt) : prompt,
  )
  const maxTokens = body.max_tokens ?? completionTokens
  return newAsk(model, body, { prompts, param: 'prompt', maxTokens, topLogprobs: body.logprobs, arrival })
}

interface Details {
  readonly prompts: readonly (readonly number[])[]
  /** The field that the prompts came from. */
  readonly param: string
  readonly maxTokens: number
  readonly topLogprobs: number | undefined
  readonly arrival: number
}

function newAsk(model: ServedModel, body: ChatBody | CompletionBody, details: Details): Ask {
  if (body.model !== undefined && body.model !== model.name) {
    throw new Refusal(
      404,
      `there is no model ${JSON.stringify(body.model)}; this server has "${model.name}"`,
      {
        param: 'model',
        code: 'model_not_found',
      },
    )
  }
  const { prompts, param, maxTokens, topLogprobs, arrival } = details
  for (const prompt of prompts) checkPrompt(prompt, { model, param })
  const options = {
    maxTokens,
    temperature: body.temperature < leastTemperature ? 0 : body.temperature,
    topP: body.top_p,
    seed: body.seed ?? arrival,
    ...(topLogprobs === undefined ? {} : { topLogprobs }),
  }
  return {
    choices: prompts.flatMap((prompt) =>
      // A prompt among others is answered as it would be alone.
      Array.from({ length: body.n }, (_, i) => ({
        request: { id: `choice ${i}`, prompt, ...options },
        stops: body.stop,
      })),
    ),
    promptTokens: prompts.reduce((sum, prompt) => sum + prompt.length, 0),
    logprobs: topLogprobs !== undefined,
    stream: body.stream,
    includeUsage: body.stream_options.include_usage,
  }
}

function checkPrompt(
  prompt: readonly number[],
  { model, param }: { readonly model: ServedModel; readonly param: string },
): void {
  const { vocabSize, maxPositions } = model.config
  if (prompt.length === 0) throw new Refusal(400, `${param}: there is no token in it`, { param })
  if (prompt.length > maxPositions) {
    throw new Refusal(413, `${prompt.length} tokens do not fit the model's ${maxPositions} positions`, {
      param,
      code: 'context_length_exceeded',
    })
  }
  const wrong = prompt.find((token) => token < 0 || token >= vocabSize)
  if (wrong !== undefined)
    throw new Refusal(400, `${param}: ${wrong} is not a token of this model (0..${vocabSize - 1})`, { param })
}
