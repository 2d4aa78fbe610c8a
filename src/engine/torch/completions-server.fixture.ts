/** A real HTTP server over a real tiny model that speaks as vLLM does, or as `transformers serve`: text only, log-probabilities ignored. */
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { z } from 'zod'
import type { Tokenizer } from '../../model/tokenizer.ts'
import type { Sampler } from '../engine.ts'

const bodySchema = z.looseObject({
  model: z.string(),
  prompt: z.union([z.string(), z.array(z.int())]),
  max_tokens: z.int(),
  prompt_logprobs: z.int().optional(),
})
type Body = z.infer<typeof bodySchema>

export interface FixtureOptions {
  readonly dialect: 'vllm' | 'transformers'
  readonly folder: string
  readonly sampler: Sampler
  readonly tokenizer: Tokenizer
  /** Default: a free one. */
  readonly port?: number
  /** Called before each completion. */
  readonly onCompletion?: () => void
}

export interface CompletionsServer {
  readonly url: string
  /** Paths and bodies, in order. */
  readonly asked: { readonly path: string; readonly body: unknown }[]
  /** Requests whose connection is cut before an answer. */
  cut: number
  close(): Promise<void>
}

const context = { signal: new AbortController().signal }

export async function startCompletionsServer(options: FixtureOptions): Promise<CompletionsServer> {
  const asked: CompletionsServer['asked'] = []
  const server = createServer((request, response) => {
    void (async () => {
      const path = request.url ?? ''
      const body: unknown = request.method === 'POST' ? await json(request) : null
      asked.push({ path, body })
      if (path === '/v1/completions' && state.cut > 0) {
        state.cut--
        request.socket.destroy()
        return
      }
      if (path === '/v1/completions') options.onCompletion?.()
      const { status, answer } = await respond(path, body, options)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })()
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const state: CompletionsServer = {
    url: `http://127.0.0.1:${port}`,
    asked,
    cut: 0,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
  return state
}

async function respond(
  path: string,
  body: unknown,
  options: FixtureOptions,
): Promise<{ status: number; answer: unknown }> {
  const { dialect, folder } = options
  if (path === '/health') return { status: 200, answer: {} }
  if (path === '/v1/models') {
    if (dialect === 'transformers') return { status: 500, answer: 'Cache directory not found' }
    return { status: 200, answer: { data: [{ id: 'base', root: folder }] } }
  }
  if (path === '/load_model' && dialect === 'transformers')
    return { status: 200, answer: { status: 'ready' } }
  if (path === '/v1/load_lora_adapter' && dialect === 'vllm') return { status: 200, answer: 'Success' }
  if (path !== '/v1/completions') return { status: 404, answer: { detail: 'Not Found' } }
  const asked = bodySchema.parse(body)
  if (typeof asked.prompt !== 'string' && dialect === 'transformers')
    return { status: 400, answer: { detail: 'prompt must be a string.' } }
  return { status: 200, answer: await complete(asked, options) }
}

async function complete(body: Body, { dialect, sampler, tokenizer }: FixtureOptions): Promise<unknown> {
  const { prompt, max_tokens: maxTokens } = body
  const ids = typeof prompt === 'string' ? [...tokenizer.opening.ids, ...tokenizer.encode(prompt)] : prompt
  const request = { id: 'x', prompt: ids, maxTokens, temperature: 0, topP: 1, seed: 0 }
  const [result] = await sampler.generate([request], context)
  const tokens = result?.tokens ?? []
  const drawn = result?.finish === 'stop' ? [...tokens, tokenizer.endOfTurn] : tokens
  const scored =
    body.prompt_logprobs === undefined || dialect !== 'vllm'
      ? {}
      : { prompt_logprobs: await promptLogprobs(sampler, ids) }
  return {
    choices: [
      {
        text: tokenizer.decode(tokens),
        finish_reason: result?.finish,
        ...(dialect === 'vllm' ? { token_ids: drawn } : {}),
        ...scored,
      },
    ],
    usage: { prompt_tokens: ids.length, completion_tokens: drawn.length },
  }
}

async function promptLogprobs(sampler: Sampler, ids: readonly number[]): Promise<unknown[]> {
  const requests = ids
    .slice(1)
    .map((id, i) => ({ id: String(i), prompt: ids.slice(0, i + 1), continuation: [id] }))
  const results = await sampler.sequenceLogprob(requests, context)
  return [null, ...results.map(({ logprob }, i) => ({ [String(ids[i + 1])]: { logprob, rank: 1 } }))]
}
