/** A real OpenAI-compatible HTTP server that answers deterministically and injects every fault that servers were seen to have. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import * as z from 'zod'
import { rng } from '../../src/rng.ts'

export const faults = [
  'too_many',
  'unavailable',
  'server_error',
  'reset',
  'silence',
  'cut',
  'half_json',
  'error_body',
  'invalid_json',
  'empty',
  'unfinished',
  'bad_request',
  'unauthorized',
] as const
export type FaultKind = (typeof faults)[number]

export interface FaultyOptions {
  /** Share of requests that meet each fault; the rest is answered. */
  readonly rates?: Partial<Record<FaultKind, number>>
  readonly seed?: number
  /** From request to answer. */
  readonly latencyMs?: number
  /** Of 429 and 503, as it is sent then. */
  readonly retryAfter?: string | (() => string)
  /** Default: any free one. */
  readonly port?: number
}

export interface FaultyServer {
  readonly url: string
  /** Set to change what happens from now on. */
  rates: Partial<Record<FaultKind, number>>
  /** Requests by what they met. */
  readonly met: Map<FaultKind | 'answered', number>
  /** Whole answers that were sent, by question. */
  readonly answered: Map<string, number>
  /** Every body that came, as text, with the headers of its request. */
  readonly seen: { readonly body: string; readonly headers: IncomingMessage['headers'] }[]
  /** Most requests at the same time since it was last set to 0. */
  peak: number
  /** Tokens of all answers, whole, empty or cut: what a provider would bill. */
  billed: number
  /** Asked about every question that comes. */
  watch: (question: string) => void
  close(): Promise<void>
}

const bodySchema = z.looseObject({
  messages: z.array(z.looseObject({ content: z.string() })).min(1),
  max_tokens: z.int(),
})

/** What the server answers to a question, always. */
export function answerTo(question: string): string {
  const random = rng('answer', question)
  const words = Array.from({ length: random.between(3, 30) }, () =>
    random.pick(['ant', 'bee', 'cat', 'dög', '🦊', '\n']),
  )
  return `${question}: ${words.join(' ')}.`
}

export async function startFaultyServer(options: FaultyOptions = {}): Promise<FaultyServer> {
  const { seed = 1, latencyMs = 0, retryAfter, port = 0 } = options
  const random = rng(seed, 'faults')
  let inFlight = 0
  const drawn = (): FaultKind | 'answered' => {
    let u = random.next()
    for (const kind of faults) {
      u -= state.rates[kind] ?? 0
      if (u < 0) return kind
    }
    return 'answered'
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    inFlight++
    state.peak = Math.max(state.peak, inFlight)
    response.on('close', () => inFlight--)
    let text = ''
    for await (const piece of request) text += String(piece)
    state.seen.push({ body: text, headers: request.headers })
    const { messages, max_tokens: maxTokens } = bodySchema.parse(JSON.parse(text))
    const question = messages.at(-1)!.content
    state.watch(question)
    const kind = drawn()
    if (latencyMs > 0) await wait(latencyMs)
    state.met.set(kind, (state.met.get(kind) ?? 0) + 1)
    serve(kind, question, maxTokens, messages, request.headers.authorization, response)
  }

  const serve = (
    kind: FaultKind | 'answered',
    question: string,
    maxTokens: number,
    messages: readonly { readonly content: string }[],
    authorization: string | undefined,
    response: ServerResponse,
  ): void => {
    const send = (status: number, body: string, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(body)
    }
    const words = answerTo(question).split(' ')
    const tokens = Math.min(words.length, maxTokens)
    const usage = {
      prompt_tokens: messages.reduce((sum, { content }) => sum + content.split(' ').length + 3, 0),
      completion_tokens: tokens,
    }
    const completion = (content: string, finish: string | null): string =>
      JSON.stringify({
        id: 'x',
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: finish }],
        usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens },
      })
    const cut = tokens < words.length
    const whole = completion(words.slice(0, tokens).join(' '), cut ? 'length' : 'stop')
    const bill = (): void => {
      state.billed += usage.prompt_tokens + usage.completion_tokens
    }
    const after = typeof retryAfter === 'function' ? retryAfter() : retryAfter
    const again = after === undefined ? {} : { 'retry-after': after }
    switch (kind) {
      case 'too_many':
        return send(429, '{"error":{"message":"slow down"}}', again)
      case 'unavailable':
        return send(503, 'overloaded', again)
      case 'server_error':
        return send(500, '<html>oops</html>', { 'content-type': 'text/html' })
      case 'reset':
        response.socket?.resetAndDestroy()
        return
      case 'silence':
        bill()
        return
      case 'cut':
        bill()
        response.writeHead(200, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(whole),
        })
        response.write(Buffer.from(whole).subarray(0, Buffer.byteLength(whole) >> 1), () =>
          response.destroy(),
        )
        return
      case 'half_json':
        bill()
        return send(200, whole.slice(0, whole.length >> 1))
      case 'error_body':
        return send(200, '{"error":{"message":"worker died","code":500}}')
      case 'invalid_json':
        return send(200, `${whole}}`)
      case 'empty':
        bill()
        return send(200, completion('', 'stop'))
      case 'unfinished':
        bill()
        return send(200, completion(words.slice(0, 1).join(' '), null))
      case 'bad_request':
        return send(400, '{"error":{"message":"max_tokens is too large"}}')
      case 'unauthorized':
        // As some servers do, it tells the key that it refuses.
        return send(401, JSON.stringify({ error: { message: `Incorrect key: ${authorization}` } }))
      case 'answered':
        bill()
        state.answered.set(question, (state.answered.get(question) ?? 0) + 1)
        return send(200, whole)
      default:
        return kind satisfies never
    }
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: { message: String(error) } }))
    })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const state: FaultyServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    rates: options.rates ?? {},
    met: new Map(),
    answered: new Map(),
    seen: [],
    peak: 0,
    billed: 0,
    watch: () => undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return state
}
