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
  /** What the server asked for. */
  readonly waitMs?: number
}

export type Attempt = { readonly completion: Completion } | { readonly fault: Fault }

/** Half a surrogate pair, which JSON can spell and UTF-8 cannot, becomes U+FFFD where it arrives: no file ever has one. */
const text = z.string().transform((given) => given.toWellFormed())
const topLogprobSchema = z.looseObject({ token: text, logprob: z.number() })
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
export function readCompletion(body: unknown, wantLogprobs: boolean, mayBeEmpty = false): Attempt {
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
  return { completion: { text, finish, tokens, topLogprobs } }
}

/** Of anything thrown while asking; `timedOut` says whether our own clock ended it. */
export function faultOf(error: unknown, timedOut: boolean): Fault {
  if (timedOut || error instanceof APIConnectionTimeoutError) {
    return { reason: 'timeout', retry: 'again', spent: 'unknown' }
  }
  if (error instanceof APIConnectionError) {
    const detail = messageOf(error.cause ?? error)
    const refused = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN/.test(`${detail} ${codeOf(error.cause)}`)
    return { reason: 'connection', retry: 'again', spent: refused ? 'nothing' : 'unknown', detail }
  }
  if (error instanceof APIError && typeof error.status === 'number') return faultOfStatus(error)
  if (error instanceof SyntaxError) return { reason: 'invalid_reply', retry: 'again', spent: 'unknown' }
  // The body ended before its end.
  return { reason: 'cut', retry: 'again', spent: 'unknown', detail: messageOf(error) }
}

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
  if (status === 401 || status === 403 || status === 404) return fault(`refused_${status}`, 'stop')
  if (status === 408 || status === 409) return fault(`refused_${status}`, 'again')
  if (status !== undefined && status < 500) return fault(`refused_${status}`, 'no')
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

function codeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error && 'code' in cause ? `${messageOf(cause)} ${String(cause.code)}` : ''
}
