/** JSON over HTTP to a server that may take long to answer: no time limit but the caller's signal. */
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { text } from 'node:stream/consumers'
import { LabError } from '../../errors.ts'

export interface Answer {
  readonly status: number
  /** undefined where the body is no JSON. */
  readonly json: unknown
  readonly text: string
}

/** Nobody answers there: the server is not up, or has gone. */
export class Unreachable extends LabError {
  constructor(url: string, cause: Error) {
    super('ENGINE', `no answer from ${url}: ${cause.message}`, { cause })
  }
}

/** Throws Unreachable; whatever status the server answers with is returned. */
export function askJson(
  url: string,
  { body, signal }: { readonly body?: unknown; readonly signal?: AbortSignal } = {},
): Promise<Answer> {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest
  const payload = body === undefined ? null : Buffer.from(JSON.stringify(body))
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void =>
      reject(signal?.aborted === true ? (signal.reason as Error) : new Unreachable(url, error))
    const asked = request(
      url,
      {
        method: payload === null ? 'GET' : 'POST',
        headers:
          payload === null ? {} : { 'content-type': 'application/json', 'content-length': payload.length },
        ...(signal === undefined ? {} : { signal }),
      },
      (response) => {
        text(response).then(
          (answer) => resolve({ status: response.statusCode ?? 0, json: jsonOf(answer), text: answer }),
          failed,
        )
      },
    )
    asked.on('error', failed)
    asked.end(payload ?? undefined)
  })
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
