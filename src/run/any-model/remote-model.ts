/** An OpenAI-compatible endpoint as a respondent: responses, and letters from the log-probabilities of the first token. */
import { letters } from '../../evals/mmlu/letters.ts'
import type { Endpoint, EndpointReply, EndpointRequest } from '../../teacher/endpoint.ts'
import type { Ask, AskContext, Reply, Respondent } from './respondent.ts'

/** The most that servers give for one token. */
const mostLogprobs = 20

/** `url` and `name` say which model it is; nothing is asked yet. */
export function remoteModel(
  endpoint: Endpoint,
  { url, name }: { readonly url: string; readonly name: string },
): Respondent {
  return {
    title: name,
    identity: { kind: 'endpoint', url, model: name },
    chats: true,
    texts: false,
    maxPositions: null,
    likelihoods: false,
    ask: (asks, context) => askEndpoint(endpoint, asks, context),
    close: () => Promise.resolve(),
  }
}

async function askEndpoint(endpoint: Endpoint, asks: readonly Ask[], context: AskContext): Promise<void> {
  const places = new Map(asks.map(({ id }, place) => [id, place]))
  await endpoint.ask(asks.map(requestOf), {
    signal: context.signal,
    waiting: context.waiting,
    replied: (reply) => {
      const place = places.get(reply.id)
      const ask = place === undefined ? undefined : asks[place]
      if (place === undefined || ask === undefined) return
      return context.replied([{ place, reply: replyOf(ask, reply) }])
    },
  })
}

function requestOf({ id, prompt, wanted }: Ask): EndpointRequest {
  const messages =
    prompt.form === 'chat' ? prompt.messages : [{ role: 'user' as const, content: prompt.text }]
  if (wanted.kind === 'response') {
    const { max_tokens, temperature, top_p, seed } = wanted.sampling
    return { id, messages, maxTokens: max_tokens, temperature, topP: top_p, seed, mayBeEmpty: true }
  }
  return { id, messages, maxTokens: 1, temperature: 0, topP: 1, topLogprobs: mostLogprobs, mayBeEmpty: true }
}

function replyOf({ prompt, wanted }: Ask, reply: EndpointReply): Reply {
  const rendered = JSON.stringify(prompt.form === 'chat' ? prompt.messages : prompt.text)
  const error = (text: string, again: boolean): Reply => ({ kind: 'error', rendered, error: text, again })
  if (reply.finish === 'error') {
    const { reason, detail } = reply
    if (reason === 'no_logprobs') return error('the server gave no log-probabilities', false)
    // What the client says begins with the status, which the reason has too.
    const said = detail === undefined ? '' : `: ${detail.replace(/^\d{3} /u, '')}`
    return error(reason + said, !reason.startsWith('refused_4'))
  }
  if (wanted.kind === 'response') {
    const { text, finish, tokens } = reply
    return { kind: 'response', rendered, response: text, finish, tokens }
  }
  if (wanted.kind === 'likelihood') return error('an endpoint does not tell the likelihood of a text', false)
  const logprobs = letters.map((letter) => totalOf(letter, reply.topLogprobs ?? []))
  if (logprobs.every((logprob) => logprob === null)) {
    return error(`none of A, B, C and D is among the ${mostLogprobs} likeliest first tokens`, false)
  }
  return { kind: 'letters', rendered, logprobs }
}

/** The letter as `A` and ` A` are two tokens: their probabilities add. Null where neither is there. */
function totalOf(
  letter: string,
  top: readonly { readonly token: string; readonly logprob: number }[],
): number | null {
  const own = top.filter(({ token }) => token.trim() === letter)
  if (own.length === 0) return null
  return Math.log(own.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0))
}
