/** Where a server puts the reason of a refusal: brought to the one place in which the client looks for it. */
import * as z from 'zod'

const reasonSchema = z.union([
  z.looseObject({ error: z.looseObject({}) }).transform(() => undefined),
  z.looseObject({ error: z.string() }).transform(({ error }) => error),
  z.looseObject({ message: z.string() }).transform(({ message }) => message),
  z.looseObject({ detail: z.json() }).transform(({ detail }) => detail),
])

/** A refusal with its reason as `error.message`, which some servers have as `error`, `message` or `detail`. */
export async function withReason(response: Response): Promise<Response> {
  if (response.ok) return response
  const text = await response.text()
  const { status, headers } = response
  const reason = reasonSchema.safeParse(jsonOrNull(text)).data
  const body = reason === undefined ? text : JSON.stringify({ error: { message: reason } })
  return new Response(body === '' ? null : body, { status, headers })
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
