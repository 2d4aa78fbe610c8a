/** One OpenAI-compatible server, asked through the official client: every request ends in exactly one reply, whole or an error with its reason. */
import OpenAI from 'openai'
import { interrupted, LabError } from '../errors.ts'
import type { ChatMessage } from '../model/tokenizer.ts'
import { rng } from '../rng.ts'
import { faultOf, readCompletion, type Attempt, type Completion, type Fault } from './completion.ts'
import { mostTokens, type Attempted, type Meter } from './meter.ts'
import { createPace } from './pace.ts'
import { createReach, type EndpointNames } from './reach.ts'
import { withReason } from './reason.ts'

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
  /** Default: the keys of an experiment file. */
  readonly names?: EndpointNames
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
  /** Told now and then while the server is out of reach. */
  readonly waiting?: (why: string) => void
}

export interface Endpoint {
  /**
   * One reply a request, in the order of the requests. Throws INTERRUPTED, BAD_INPUT where the server refuses every
   * request (key, model) or was never reached, and ENGINE where it is away for long.
   */
  ask(requests: readonly EndpointRequest[], context: AskContext): Promise<EndpointReply[]>
}

/** Attempts that failed, before a request is given up; an empty text may be what the model has to say. */
const mostFailures = 12
const mostEmpty = 6
/** Times that an overloaded server may send one request away. */
const mostRefusals = 200
const longestPauseMs = 20_000
const namesOfFile: EndpointNames = { address: '`endpoint:`', model: '`model:`', key: '`api_key_env:`' }

/** Opens nothing yet: the first request connects. */
export function openEndpoint(options: EndpointOptions): Endpoint {
  const { url, model, apiKey, timeoutMs, concurrency, retryMs = 250, names = namesOfFile } = options
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
    fetch: async (input, init) => withReason(await fetch(input, init)),
  })
  const pace = createPace(concurrency)
  const reach = createReach(url, { retryMs, timeoutMs, names })

  const attempt = async (request: EndpointRequest, stop: AbortSignal): Promise<Attempt> => {
    const clock = new AbortController()
    const timer = setTimeout(() => clock.abort(), timeoutMs)
    const { topLogprobs } = request
    try {
      const created = client.chat.completions.create(
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
      const body = await (await created.asResponse()).text()
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
    { meter, waiting }: Pick<AskContext, 'meter' | 'waiting'>,
  ): Promise<EndpointReply> => {
    const { id } = request
    const jitter = rng('pause', id)
    const failures = new Map<string, number>()
    let failed = 0
    for (;;) {
      const result = await send(request, stop, meter)
      reach.note(result, waiting)
      if ('completion' in result) return { id, ...result.completion }
      const fault = withoutKey(result.fault, apiKey)
      const { retry, waitMs, unreached } = fault
      if (retry === 'stop') throw refusal(url, fault, names)
      const reason = unreached ?? fault.reason
      const times = (failures.get(reason) ?? 0) + 1
      failures.set(reason, times)
      // A server that is away says nothing about the request: how long it is waited for is not its affair.
      if (retry === 'again' && unreached === undefined) failed++
      const most = retry === 'later' ? mostRefusals : reason === 'empty' ? mostEmpty : mostFailures
      if (retry === 'no' || (unreached === undefined && times >= most) || failed >= mostFailures) {
        const said = fault.detail === undefined ? {} : { detail: fault.detail }
        return { id, finish: 'error', reason, ...said }
      }
      const pause = Math.min(longestPauseMs, retryMs * 2 ** Math.min(times - 1, 20))
      await sleep(waitMs ?? pause * (0.5 + jitter.next() / 2), stop)
    }
  }

  return {
    ask: async (requests, context) => {
      const { signal, replied } = context
      const replies: EndpointReply[] = []
      reach.begin()
      const ended = new AbortController()
      const stop = AbortSignal.any([signal, ended.signal])
      let next = 0
      const work = async (): Promise<void> => {
        try {
          while (next < requests.length && !stop.aborted) {
            const place = next++
            const request = requests[place]
            if (request === undefined) return
            const reply = await answer(request, stop, context)
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

/** One line, and without the key, which a server may repeat when it refuses it. */
function withoutKey(fault: Fault, apiKey: string | undefined): Fault {
  if (fault.detail === undefined) return fault
  const detail = apiKey === undefined ? fault.detail : fault.detail.replaceAll(apiKey, '***')
  return {
    ...fault,
    detail: detail
      .replaceAll(/[\p{Cc}\s]+/gu, ' ')
      .trim()
      .slice(0, 300)
      .toWellFormed(),
  }
}

function refusal(url: string, { reason, detail = '' }: Fault, names: EndpointNames): LabError {
  const hint =
    reason === 'refused_401' || reason === 'refused_403'
      ? `name the environment variable that holds its key with ${names.key}`
      : `check ${names.model}, and that ${names.address} ends with /v1`
  return new LabError('BAD_INPUT', `${url} refuses every request: ${detail}`, { hint })
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
