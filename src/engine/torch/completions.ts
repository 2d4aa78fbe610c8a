/** What a server's `/v1/completions` really does, found out by asking, and requests put in that way. */
import { z } from 'zod'
import { LabError } from '../../errors.ts'
import { askJson, type Answer } from './http.ts'

/** How a server is to be spoken with. */
export interface Dialect {
  /** It takes token ids; else text, which it encodes itself. */
  readonly ids: boolean
  /** It gives the log-probabilities of a prompt's tokens when asked. */
  readonly logprobs: boolean
}

export interface Endpoint {
  readonly url: string
  readonly model: string
}

const promptLogprobsSchema = z.array(z.record(z.string(), z.looseObject({ logprob: z.number() })).nullable())
const answerSchema = z.looseObject({
  choices: z.tuple([
    z.looseObject({
      text: z.string(),
      finish_reason: z.string().nullish(),
      /** vLLM, with `return_token_ids`. */
      token_ids: z.array(z.int()).nullish(),
      prompt_logprobs: promptLogprobsSchema.nullish(),
    }),
  ]),
  usage: z.looseObject({ prompt_tokens: z.int(), completion_tokens: z.int().nullish() }).nullish(),
})

export interface Completion {
  readonly text: string
  readonly finish: 'stop' | 'length'
  /** As drawn; null where the server told the text alone. */
  readonly tokens: readonly number[] | null
  /** Tokens that the server read, and drew; null where it does not say. */
  readonly promptTokens: number | null
  readonly drawn: number | null
}

export interface CompletionRequest {
  readonly prompt: readonly number[] | string
  readonly maxTokens: number
  readonly temperature: number
  readonly topP: number
  readonly seed: number
  /** Any of these ends the response. */
  readonly stopIds: readonly number[]
  readonly padId: number | null
}

/** Asks for two tokens' log-probability with ids; a server that refuses them is asked in text. Throws ENGINE if it takes neither. */
export async function findDialect(
  endpoint: Endpoint,
  probe: { readonly ids: readonly [number, number]; readonly text: string },
  signal?: AbortSignal,
): Promise<Dialect> {
  const base = { model: endpoint.model, max_tokens: 1, temperature: 0 }
  const body = { ...base, prompt: probe.ids, prompt_logprobs: 0, return_token_ids: true }
  const withIds = await post(endpoint, body, signal)
  if (withIds.status === 200) {
    const [choice] = answerOf(withIds, endpoint).choices
    const told = (choice.prompt_logprobs ?? [])[1]?.[String(probe.ids[1])]
    return { ids: true, logprobs: told !== undefined }
  }
  const asText = await post(endpoint, { ...base, prompt: probe.text }, signal)
  if (asText.status === 200) {
    answerOf(asText, endpoint)
    return { ids: false, logprobs: false }
  }
  throw refused(asText, endpoint)
}

/** One response. Throws ENGINE for what is no answer, Unreachable where nobody is there. */
export async function complete(
  endpoint: Endpoint,
  request: CompletionRequest,
  signal?: AbortSignal,
): Promise<Completion> {
  const { prompt, maxTokens, temperature, topP, seed, stopIds } = request
  const common = { model: endpoint.model, prompt, max_tokens: maxTokens, temperature, top_p: topP, seed }
  const own =
    typeof prompt === 'string'
      ? { generation_config: JSON.stringify(generationConfig(request)) }
      : { return_token_ids: true, stop_token_ids: stopIds }
  const answer = answerOf(await post(endpoint, { ...common, ...own }, signal), endpoint)
  const [{ text, finish_reason, token_ids }] = answer.choices
  if (finish_reason !== 'stop' && finish_reason !== 'length') {
    throw new LabError(
      'ENGINE',
      `${endpoint.url} ended a response with ${JSON.stringify(finish_reason ?? null)}`,
    )
  }
  const last = token_ids?.at(-1)
  const ended = finish_reason === 'stop' && last !== undefined && stopIds.includes(last)
  return {
    text,
    finish: finish_reason,
    tokens: token_ids === null || token_ids === undefined ? null : ended ? token_ids.slice(0, -1) : token_ids,
    promptTokens: answer.usage?.prompt_tokens ?? null,
    drawn: answer.usage?.completion_tokens ?? null,
  }
}

/** Log-probabilities (nats) of `tokens` from the second on, each after those before it. Throws ENGINE where one is missing. */
export async function promptLogprobs(
  endpoint: Endpoint,
  tokens: readonly number[],
  signal?: AbortSignal,
): Promise<number[]> {
  const body = { model: endpoint.model, prompt: tokens, max_tokens: 1, temperature: 0, prompt_logprobs: 0 }
  const [{ prompt_logprobs: told }] = answerOf(await post(endpoint, body, signal), endpoint).choices
  return tokens.slice(1).map((token, i) => {
    const logprob = told?.[i + 1]?.[String(token)]?.logprob
    if (logprob !== undefined) return logprob
    throw new LabError(
      'ENGINE',
      `${endpoint.url} left out the log-probability of token ${i + 2} of ${tokens.length}`,
    )
  })
}

/**
 * All of it, because `transformers serve` starts from the model's own: there a temperature draws nothing while `do_sample` is off,
 * and a top-k of 50 would stay.
 */
function generationConfig({ maxTokens, temperature, topP, stopIds, padId }: CompletionRequest): object {
  const draws = temperature > 0
  return {
    do_sample: draws,
    ...(draws ? { temperature, top_p: topP, top_k: 0 } : {}),
    max_new_tokens: maxTokens,
    ...(stopIds.length === 0 ? {} : { eos_token_id: stopIds }),
    pad_token_id: padId ?? stopIds[0] ?? 0,
  }
}

const modelsSchema = z.looseObject({
  data: z.array(z.looseObject({ id: z.string(), root: z.string().nullish() })),
})

/** The models that a server names, as far as it does, with the folder of each where it says so. */
export async function listModels(url: string): Promise<readonly { id: string; root: string | null }[]> {
  const { status, json } = await askJson(`${url}/v1/models`)
  const parsed = modelsSchema.safeParse(json)
  // `transformers serve` fails here where no model was ever downloaded.
  if (status !== 200 || !parsed.success) return []
  return parsed.data.data.map(({ id, root }) => ({ id, root: root ?? null }))
}

/** vLLM reads an adapter while it runs. Throws ENGINE where the server cannot. */
export async function loadAdapter(url: string, name: string, folder: string): Promise<void> {
  const answer = await askJson(`${url}/v1/load_lora_adapter`, {
    body: { lora_name: name, lora_path: folder },
  })
  if (answer.status === 200 || /already been loaded/.test(answer.text)) return
  throw new LabError('ENGINE', `${url} cannot load the adapter ${folder}: ${short(answer)}`, {
    hint: 'vLLM needs --enable-lora, a large enough --max-lora-rank and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True.',
  })
}

function post({ url }: Endpoint, body: unknown, signal?: AbortSignal): Promise<Answer> {
  return askJson(`${url}/v1/completions`, { body, ...(signal === undefined ? {} : { signal }) })
}

function answerOf(answer: Answer, endpoint: Endpoint): z.infer<typeof answerSchema> {
  if (answer.status !== 200) throw refused(answer, endpoint)
  const parsed = answerSchema.safeParse(answer.json)
  if (parsed.success) return parsed.data
  throw new LabError('ENGINE', `${endpoint.url} gave no completion: ${short(answer)}`)
}

const refused = (answer: Answer, { url, model }: Endpoint): LabError =>
  new LabError('ENGINE', `${url} refuses a completion of ${model}: ${short(answer)}`)

const short = ({ status, text }: Answer): string => `${status} ${text.slice(0, 300)}`
