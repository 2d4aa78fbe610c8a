/** What the server says no to, as OpenAI's error body with its status code. */
import type { ZodError } from 'zod'
import { LabError } from '../../errors.ts'

export type RefusalStatus = 400 | 404 | 405 | 413 | 500 | 503

export interface RefusalOptions {
  /** The field that is wrong. */
  readonly param?: string
  /** A word for programs, e.g. `model_not_found`. */
  readonly code?: string
  readonly cause?: unknown
}

/** Ends a request; whatever else is thrown is the server's own fault and becomes 500. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: RefusalStatus
  readonly param: string | null
  readonly code: string | null

  constructor(status: RefusalStatus, message: string, { param, code, cause }: RefusalOptions = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.status = status
    this.param = param ?? null
    this.code = code ?? null
  }

  /** The body that OpenAI's clients read. */
  get body(): ErrorBody {
    const { message, status, param, code } = this
    return { error: { message, type: status < 500 ? 'invalid_request_error' : 'server_error', param, code } }
  }
}

export interface ErrorBody {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    readonly code: string | null
  }
}

/** 400 that names every field that is wrong. */
export function refusalOfBody(error: ZodError): Refusal {
  const issues = error.issues.map(({ path, message }) => ({ param: path.join('.'), message }))
  const message = issues.map((issue) => (issue.param ? `${issue.param}: ${issue.message}` : issue.message))
  return new Refusal(400, message.join('; '), { param: issues[0]?.param || undefined } as RefusalOptions)
}

/** Anything thrown while a request was served. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (!(error instanceof LabError)) return new Refusal(500, 'internal error', { cause: error })
  const message = error.hint ? `${error.message} (${error.hint})` : error.message
  if (error.code === 'BAD_INPUT') return new Refusal(400, message, { cause: error })
  if (error.code === 'INTERRUPTED') return new Refusal(503, 'the server is closing', { code: 'closing' })
  return new Refusal(500, message, { cause: error })
}
