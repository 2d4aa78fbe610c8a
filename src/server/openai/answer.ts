/** Answers a request: all its choices are generated side by side, and sent whole or as server-sent events. */
import type { Context } from 'hono'
import type { Ask, ServedModel } from './ask.ts'
import { eventStream } from './event-stream.ts'
import type { Form, Heading, Said, Usage } from './forms.ts'
import { refusalOf } from './refusal.ts'
import { type Piece, speak } from './speak.ts'
import type { Traffic } from './traffic.ts'

export interface Answering {
  readonly model: ServedModel
  readonly traffic: Traffic
  readonly form: Form
  readonly ask: Ask
  readonly heading: Heading
}

/** A client that goes away ends what it asked for. */
export async function answer(c: Context, answering: Answering): Promise<Response> {
  if (answering.ask.stream) return answerInChunks(c, answering)
  const { model, traffic, form, ask, heading } = answering
  const { signal } = c.req.raw
  const spoken = await everyChoice(ask, (choice) => collect(speak(model, choice, signal)))
  const drawn = spoken.reduce((sum, choice) => sum + choice.drawn, 0)
  traffic.count(drawn)
  const choices = spoken.map((choice, index) => ({ ...choice, index }))
  return c.json(form.whole(heading, choices, usageOf(ask, drawn)))
}

function answerInChunks(c: Context, { model, traffic, form, ask, heading }: Answering): Response {
  const done = traffic.begin()
  const body = eventStream(async ({ gone, send }) => {
    const sendChunk = (chunk: object): void => send(JSON.stringify(chunk))
    try {
      const drawn = await everyChoice(ask, async (choice, index) => {
        const opening = form.opening(heading, index)
        if (opening) sendChunk(opening)
        let tokens = 0
        for await (const piece of speak(model, choice, gone)) {
          traffic.count(piece.drawn - tokens)
          tokens = piece.drawn
          sendChunk(form.chunk(heading, { ...piece, index }))
        }
        return tokens
      })
      const total = drawn.reduce((sum, tokens) => sum + tokens, 0)
      if (ask.includeUsage) sendChunk(form.usage(heading, usageOf(ask, total)))
      send('[DONE]')
    } catch (error) {
      // The status has been sent; an error event without [DONE] is what OpenAI's clients take for a failure.
      sendChunk(refusalOf(error).body)
    } finally {
      done()
    }
  })
  return c.body(body, 200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
}

/** Results in the order of the choices, all of which have ended when it settles. */
async function everyChoice<T>(
  { choices }: Ask,
  act: (choice: Ask['choices'][number], index: number) => Promise<T>,
): Promise<T[]> {
  const settled = await Promise.allSettled(choices.map(act))
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}

async function collect(pieces: AsyncIterable<Piece>): Promise<Omit<Said, 'index'> & { drawn: number }> {
  const all: Piece[] = []
  for await (const piece of pieces) all.push(piece)
  const last = all.at(-1)
  return {
    text: all.map(({ text }) => text).join(''),
    tokens: all.flatMap(({ tokens }) => tokens),
    finish: last?.finish ?? null,
    drawn: last?.drawn ?? 0,
  }
}

function usageOf({ promptTokens }: Ask, drawn: number): Usage {
  return { prompt_tokens: promptTokens, completion_tokens: drawn, total_tokens: promptTokens + drawn }
}
