/** What became of one attempt: a whole completion, or the reason why there is none, whether to try again, and what it may have cost. */
import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai'
import * as z from 'zod'
import { messageOf } from '../errors.ts'

export interface Tokens {
  readonly prompt: number
  readonly completion: number
}

export interface Completion {
  readonly text: string
  readonly finish: 'stop' | 'length'
  readonly tokens: Tokens
  readonly topLogprobs?: readonly { readonly token: string; readonly logprob: number }[]
}

export interface Fault {
  /** A word for the counts: `timeout`, `empty`, `refused_400`. */
  readonly reason: string
  /**
   * `later`: the server is overloaded, which says nothing about the request; `again`: as likely to work the next time;
   * `no`: this request never works; `stop`: no request does.
   */
  readonly retry: 'later' | 'again' | 'no' | 'stop'
  /** What was billed, where the server told; `unknown` where it may have been anything up to the most. */
  readonly spent: Tokens | 'unknown' | 'nothing'
  /** For people, where there is more to say. */
  readonly detail?: string
  /** Nobody was reached who could have answered: why, in words. Says nothing about the request. */
  readonly unreached?: string
  /** A web page came, and not as that of a server in trouble. */
  readonly page?: true
  /** What the server asked for. */
  readonly waitMs?: number
}

export type Attempt = { readonly completion: Completion } | { readonly fault: Fault }

/** Half a surrogate pair, which JSON can spell and UTF-8 cannot, becomes U+FFFD where it arrives: no file ever has one. */
const text = z.string().transform((given) => given.toWellFormed())
const topLogprobSchema = z.looseObject({ token: text, logprob: z.number().nullable() })
const completionSchema = z.looseObject({
  choices: z
    .array(
      z.looseObject({
        message: z.looseObject({ content: text.nullish() }),
        finish_reason: z.string(),
        logprobs: z
          .looseObject({
            content: z.array(z.looseObject({ top_logprobs: z.array(topLogprobSchema) })).nullish(),
          })
          .nullish(),
      }),
    )
    .min(1),
  usage: z.looseObject({ prompt_tokens: z.int().min(0), completion_tokens: z.int().min(0) }).nullish(),
})
const errorBodySchema = z.looseObject({ error: z.union([z.looseObject({}), z.string()]) })

/**
 * Reads the body of a 200. Only a completion that ended by itself or at its limit counts as whole, and only one with text
 * unless it `mayBeEmpty`.
 */
export function readCompletion(reply: string, wantLogprobs: boolean, mayBeEmpty = false): Attempt {
  const body = parseReply(reply)
  if (body === undefined) {
    const page = isPage(reply) ? { page: true as const } : {}
    return { fault: { reason: 'invalid_reply', retry: 'again', spent: 'unknown', ...page } }
  }
  const parsed = completionSchema.safeParse(body)
  if (!parsed.success) {
    const reason = errorBodySchema.safeParse(body).success ? 'error_body' : 'invalid_reply'
    return { fault: { reason, retry: 'again', spent: 'unknown' } }
  }
  const { choices, usage } = parsed.data
  if (!usage) return { fault: { reason: 'no_usage', retry: 'no', spent: 'unknown' } }
  const tokens = { prompt: usage.prompt_tokens, completion: usage.completion_tokens }
  const fault = (reason: string, retry: Fault['retry']): Attempt => ({
    fault: { reason, retry, spent: tokens },
  })

  const choice = choices[0]
  const finish = choice?.finish_reason
  if (finish !== 'stop' && finish !== 'length') return fault(`finish_${finish}`, 'no')
  const text = choice?.message.content ?? ''
  if (!mayBeEmpty && text.trim() === '') return fault('empty', 'again')
  if (!wantLogprobs) return { completion: { text, finish, tokens } }
  const topLogprobs = choice?.logprobs?.content?.[0]?.top_logprobs
  if (topLogprobs === undefined || topLogprobs.length === 0) return fault('no_logprobs', 'no')
  const finite = topLogprobs.flatMap(({ token, logprob }) => (logprob === null ? [] : [{ token, logprob }]))
  return { completion: { text, finish, tokens, topLogprobs: finite } }
}

/** A string of JSON, or a number that is none there and that servers in Python write all the same. */
const stringOrNoNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\bInfinity\b|\bNaN\b/gsu

/** What is no number becomes null. Undefined for what is not JSON. */
function parseReply(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Read below, where it is only such numbers that are wrong.
  }
  try {
    return JSON.parse(text.replaceAll(stringOrNoNumber, (piece) => (piece.startsWith('"') ? piece : 'null')))
  } catch {
    return undefined
  }
}

const isPage = (text: string): boolean => /^\s*<(?:!doctype|html|\?xml)/iu.test(text)

/** Of anything thrown while asking; `timedOut` says whether our own clock ended it. */
export function faultOf(error: unknown, timedOut: boolean): Fault {
  if (timedOut || error instanceof APIConnectionTimeoutError) {
    return { reason: 'timeout', retry: 'again', spent: 'unknown' }
  }
  if (error instanceof APIConnectionError) {
    const cause = rootOf(error)
    const detail = messageOf(cause)
    const code = 'code' in cause ? String(cause.code) : ''
    const [, unreached] = outOfReach.find(([sign]) => sign.test(`${cause.name} ${detail} ${code}`)) ?? []
    const fault = { reason: 'connection', retry: 'again', detail } as const
    return unreached === undefined
      ? { ...fault, spent: 'unknown' }
      : { ...fault, spent: 'nothing', unreached }
  }
  if (error instanceof APIError && typeof error.status === 'number') return faultOfStatus(error)
  // The body ended before its end.
  return { reason: 'cut', retry: 'again', spent: 'unknown', detail: messageOf(error) }
}

/** By what Node says of a connection that there never was. */
const outOfReach: readonly (readonly [sign: RegExp, words: string])[] = [
  [/ECONNREFUSED/u, 'connection refused'],
  [/ENOTFOUND|EAI_AGAIN/u, 'unknown host'],
  [/EHOSTUNREACH|ENETUNREACH/u, 'no way to the host'],
  [/connect ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT/u, 'the host does not answer'],
  [/bad port/u, 'not a port for HTTP'],
  [/ERR_SSL|ERR_TLS|CERT|EPROTO/u, 'no trusted HTTPS there'],
  [/HTTPParserError/u, 'what answers there does not speak HTTP'],
]

/** The first of the errors that led to it; of several addresses that were tried, that of the first. */
function rootOf(error: Error): Error {
  const { cause } = error
  const [first] = cause instanceof AggregateError ? (cause.errors as unknown[]) : [cause]
  return first instanceof Error ? rootOf(first) : error
}

/** Whatever is asked: a key, a model, an address or a method that is not there. */
const refusesAll = new Set([401, 403, 404, 405, 501])

function faultOfStatus({ status, headers, message }: APIError): Fault {
  const wait = retryAfterMs(headers)
  const waitMs = wait === null ? {} : { waitMs: wait }
  const fault = (reason: string, retry: Fault['retry']): Fault => ({
    reason,
    retry,
    spent: 'nothing',
    detail: message,
    ...waitMs,
  })
  if (status === 429 || status === 503) return fault('overloaded', 'later')
  const page = isPage(message.replace(/^\d+ /u, '')) ? { page: true as const } : {}
  if (status !== undefined && refusesAll.has(status))
    return { ...fault(`refused_${status}`, 'stop'), ...page }
  if (status === 408 || status === 409) return fault(`refused_${status}`, 'again')
  if (status !== undefined && status < 500) return { ...fault(`refused_${status}`, 'no'), ...page }
  return { ...fault('server_error', 'again'), spent: 'unknown' }
}

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), or `retry-after-ms`; at most ten minutes. */
function retryAfterMs(headers: Headers | undefined): number | null {
  const exact = Number.parseFloat(headers?.get('retry-after-ms') ?? '')
  const value = headers?.get('retry-after') ?? ''
  const seconds = /^\s*\d+(\.\d+)?\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  const waitMs = Number.isNaN(exact) ? seconds : exact
  return Number.isNaN(waitMs) ? null : Math.min(Math.max(0, waitMs), 600_000)
}
