/** One OpenAI-compatible server, asked through the official client: every request ends in exactly one reply, whole or an error with its reason. */
import OpenAI from 'openai'
import { interrupted, LabError } from '../errors.ts'
import type { ChatMessage } from '../model/tokenizer.ts'
import { rng } from '../rng.ts'
import { faultOf, readCompletion, type Attempt, type Completion, type Fault } from './completion.ts'
import { mostTokens, type Attempted, type Meter } from './meter.ts'
import { createPace } from './pace.ts'

export interface EndpointOptions {
  /** Up to `/v1`. */
  readonly url: string
  readonly model: string
  readonly apiKey?: string
  /** For one attempt, from sending to the last byte; Node ends one whose answer does not begin within 300 s. */
  readonly timeoutMs: number
  /** Requests in flight, at most. */
  readonly concurrency: number
  /** Pause after a first failure, doubled after each one that follows; default 250. */
  readonly retryMs?: number
}

export interface EndpointRequest {
  readonly id: string
  readonly messages: readonly ChatMessage[]
  readonly maxTokens: number
  readonly temperature: number
  readonly topP: number
  readonly seed?: number
  /** How many log-probabilities of the first token. */
  readonly topLogprobs?: number
  /** An empty text is an answer too: evaluations score it, a teacher's is of no use. Default false. */
  readonly mayBeEmpty?: boolean
}

export type EndpointReply =
  | ({ readonly id: string } & Completion)
  | {
      readonly id: string
      readonly finish: 'error'
      /** A word for the counts: `timeout`, `empty`, `refused_400`, `finish_content_filter`. */
      readonly reason: string
      /** What the server said, without the key. */
      readonly detail?: string
    }

export interface AskContext {
  readonly signal: AbortSignal
  /** Called once a reply, in the order in which they come. */
  readonly replied?: (reply: EndpointReply) => void | Promise<void>
  readonly meter?: Meter
}

export interface Endpoint {
  /**
   * One reply a request, in the order of the requests. Throws INTERRUPTED, BAD_INPUT where the server refuses every
   * request (key, model, address), and ENGINE where it does not answer at all.
   */
  ask(requests: readonly EndpointRequest[], context: AskContext): Promise<EndpointReply[]>
}

/** Attempts that failed, before a request is given up; an empty text may be what the model has to say. */
const mostFailures = 12
const mostEmpty = 6
/** Times that an overloaded server may send one request away. */
const mostRefusals = 200
const longestPauseMs = 20_000
/** A server is gone when so many attempts in a row did not reach it, for at least so many pauses and three timeouts. */
const goneAttempts = 20
const gonePauses = 240

/** Opens nothing yet: the first request connects. */
export function openEndpoint(options: EndpointOptions): Endpoint {
  const { url, model, apiKey, timeoutMs, concurrency, retryMs = 250 } = options
  // Nothing of the environment's may reach a server that the experiment names: neither a key nor an organization.
  const client = new OpenAI({
    baseURL: url,
    apiKey: apiKey ?? 'none',
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: timeoutMs,
    logLevel: 'off',
  })
  const pace = createPace(concurrency)
  const goneMs = gonePauses * retryMs + 3 * timeoutMs
  let unreached = 0
  let reachedAt = performance.now()
  /** Throws ENGINE once the server has been out of reach for long; one that answers is there, whatever it says. */
  const watch = (result: Attempt): void => {
    const reason = 'fault' in result ? result.fault.reason : null
    if (reason !== 'connection' && reason !== 'timeout') {
      unreached = 0
      reachedAt = performance.now()
    } else if (++unreached >= goneAttempts && performance.now() - reachedAt >= goneMs) {
      throw gone(url, reason)
    }
  }

  const attempt = async (request: EndpointRequest, stop: AbortSignal): Promise<Attempt> => {
    const clock = new AbortController()
    const timer = setTimeout(() => clock.abort(), timeoutMs)
    const { topLogprobs } = request
    try {
      const body = await client.chat.completions.create(
        {
          model,
          messages: request.messages.map(({ role, content }) => ({ role, content })),
          max_tokens: request.maxTokens,
          temperature: request.temperature,
          top_p: request.topP,
          ...(request.seed === undefined ? {} : { seed: request.seed }),
          ...(topLogprobs === undefined ? {} : { logprobs: true, top_logprobs: topLogprobs }),
        },
        { signal: AbortSignal.any([stop, clock.signal]) },
      )
      return readCompletion(body, topLogprobs !== undefined, request.mayBeEmpty)
    } catch (error) {
      return { fault: faultOf(error, clock.signal.aborted) }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Sends it when there is room for it, and settles what it used. */
  const send = async (
    request: EndpointRequest,
    stop: AbortSignal,
    meter: Meter | undefined,
  ): Promise<Attempt> => {
    const attempted: Attempted = {
      id: request.id,
      most: mostTokens(request.messages, request.maxTokens),
    }
    const ticket = await pace.enter()
    let outcome: 'answered' | 'overloaded' | 'failed' = 'failed'
    try {
      if (stop.aborted) throw interrupted()
      if (meter && !(await meter.reserve(attempted))) {
        return { fault: { reason: 'budget', retry: 'no', spent: 'nothing' } }
      }
      const result = await attempt(request, stop)
      meter?.settle(attempted, spentBy(result, attempted))
      if (stop.aborted && 'fault' in result) throw interrupted()
      if ('completion' in result) outcome = 'answered'
      else if (result.fault.retry === 'later' || result.fault.reason === 'timeout') outcome = 'overloaded'
      return result
    } finally {
      pace.leave(ticket, outcome)
    }
  }

  const answer = async (
    request: EndpointRequest,
    stop: AbortSignal,
    meter: Meter | undefined,
  ): Promise<EndpointReply> => {
    const { id } = request
    const jitter = rng('pause', id)
    const failures = new Map<string, number>()
    let failed = 0
    for (;;) {
      const result = await send(request, stop, meter)
      watch(result)
      if ('completion' in result) return { id, ...result.completion }
      const fault = withoutKey(result.fault, apiKey)
      const { reason, retry, waitMs } = fault
      if (retry === 'stop') throw refusal(url, fault)
      const times = (failures.get(reason) ?? 0) + 1
      failures.set(reason, times)
      if (retry === 'again') failed++
      const most = retry === 'later' ? mostRefusals : reason === 'empty' ? mostEmpty : mostFailures
      if (retry === 'no' || times >= most || failed >= mostFailures) {
        const said = fault.detail === undefined ? {} : { detail: fault.detail }
        return { id, finish: 'error', reason, ...said }
      }
      const pause = Math.min(longestPauseMs, retryMs * 2 ** Math.min(times - 1, 20))
      await sleep(waitMs ?? pause * (0.5 + jitter.next() / 2), stop)
    }
  }

  return {
    ask: async (requests, { signal, replied, meter }) => {
      const replies: EndpointReply[] = []
      reachedAt = performance.now()
      const ended = new AbortController()
      const stop = AbortSignal.any([signal, ended.signal])
      let next = 0
      const work = async (): Promise<void> => {
        try {
          while (next < requests.length && !stop.aborted) {
            const place = next++
            const request = requests[place]
            if (request === undefined) return
            const reply = await answer(request, stop, meter)
            replies[place] = reply
            await replied?.(reply)
          }
        } catch (error) {
          // The first failure ends the others; theirs is only that they were ended.
          if (!ended.signal.aborted) ended.abort(error)
        }
      }
      // More than can be in flight: those that wait for their next attempt leave their place to others.
      await Promise.all(Array.from({ length: Math.min(4 * concurrency, requests.length) }, work))
      if (signal.aborted) throw interrupted()
      if (ended.signal.aborted) throw ended.signal.reason
      return replies
    },
  }
}

function spentBy(result: Attempt, { most }: Attempted): Completion['tokens'] {
  if ('completion' in result) return result.completion.tokens
  const { spent } = result.fault
  if (spent === 'nothing') return { prompt: 0, completion: 0 }
  return spent === 'unknown' ? most : spent
}

/** A server may repeat the key when it refuses it. */
function withoutKey(fault: Fault, apiKey: string | undefined): Fault {
  if (fault.detail === undefined) return fault
  const detail = apiKey === undefined ? fault.detail : fault.detail.replaceAll(apiKey, '***')
  return { ...fault, detail: detail.slice(0, 300) }
}

function refusal(url: string, { reason, detail = '' }: Fault): LabError {
  const hint =
    reason === 'refused_404'
      ? 'check `model:` and that `endpoint:` ends with /v1'
      : 'name the environment variable that holds its key with `api_key_env:`'
  return new LabError('BAD_INPUT', `${url} refuses every request: ${detail}`, { hint })
}

function gone(url: string, reason: 'connection' | 'timeout'): LabError {
  const why = reason === 'timeout' ? 'every request timed out' : 'no connection'
  return new LabError('ENGINE', `${url} does not answer: ${why}`, {
    hint: 'start the server; the same command continues with what was not answered yet',
  })
}

/** Ends early, and without an error, when stopped. */
function sleep(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      stop.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    stop.addEventListener('abort', end)
  })
}
