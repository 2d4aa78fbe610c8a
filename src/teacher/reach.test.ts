/** Addresses where nobody is, servers that go away, and replies that are no JSON, against real sockets. */
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSocket, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { answerTo, startFaultyServer } from '../../test/teacher/faulty-server.ts'
import { openEndpoint, type EndpointOptions, type EndpointReply, type EndpointRequest } from './endpoint.ts'

const open: Server[] = []
afterEach(() => {
  for (const server of open.splice(0)) server.close()
})

async function listen(server: Server): Promise<number> {
  open.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
const serve = async (answer: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listen(createServer(answer))}/v1`
const body = (status: number, type: string, text: string): Promise<string> =>
  serve((_, response) => response.writeHead(status, { 'content-type': type }).end(text))
const greet = (socket: Socket): void => {
  socket.on('error', () => undefined).end('SSH-2.0-x\r\n')
}
const page = '<!DOCTYPE html>\n<html><body>Welcome</body></html>'

const signal = new AbortController().signal
const requests = (n: number, change: Partial<EndpointRequest> = {}): EndpointRequest[] =>
  Array.from({ length: n }, (_, i) => ({
    id: `row-${i}`,
    messages: [{ role: 'user', content: `question ${i}` }],
    maxTokens: 100,
    temperature: 1,
    topP: 1,
    ...change,
  }))
const endpointAt = (url: string, change: Partial<EndpointOptions> = {}) =>
  openEndpoint({ url, model: 'm', timeoutMs: 20, concurrency: 4, retryMs: 2, ...change })
const askOne = async (url: string, change: Partial<EndpointRequest> = {}): Promise<EndpointReply> => {
  const endpoint = endpointAt(url, { timeoutMs: 2000 })
  const [reply] = await endpoint.ask(requests(1, change), { signal })
  return reply as EndpointReply
}

const unused = async (): Promise<number> => {
  const server = createSocket()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('where nobody ever answered, the asking ends soon', () => {
  test.each<[string, string, () => Promise<string>]>([
    ['a port of nobody', 'connection refused', async () => `http://127.0.0.1:${await unused()}/v1`],
    ['a host of nobody', 'unknown host', () => Promise.resolve('http://nobody.invalid/v1')],
    ['a port that fetch refuses', 'not a port for HTTP', () => Promise.resolve('http://127.0.0.1:1/v1')],
    [
      'HTTPS where HTTP is',
      'no trusted HTTPS',
      async () => (await body(200, 'text/plain', '')).replace('http:', 'https:'),
    ],
    [
      'another protocol',
      'does not speak HTTP',
      async () => `http://127.0.0.1:${await listen(createSocket(greet))}/v1`,
    ],
    ['a web page', 'a web page answers there', () => body(200, 'text/html', page)],
    ['a page of its own for 404', 'a web page answers there', () => body(404, 'text/html', page)],
  ])('%s: %s', async (_, why, address) => {
    const url = await address()
    const asked = endpointAt(url, { timeoutMs: 60_000, retryMs: 10 }).ask(requests(40), { signal })
    await expect(asked).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringContaining(`${url} is no server that can be asked: `) as string,
      hint: expect.stringContaining('correct `endpoint:`') as string,
    })
    await expect(asked).rejects.toThrow(why)
  })

  test('a method that is not there ends it too', async () => {
    const url = await body(501, 'application/json', '{"error":{"message":"no POST"}}')
    const asked = endpointAt(url).ask(requests(40), { signal })
    await expect(asked).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: `${url} refuses every request: 501 no POST`,
    })
  })
})

test('a server that had answered and goes away is waited for, with a word, and nothing is lost', async () => {
  const first = await startFaultyServer()
  const port = Number(new URL(first.url).port)
  const endpoint = endpointAt(first.url, { timeoutMs: 5000 })
  await endpoint.ask(requests(1), { signal })
  await first.close()
  const told: string[] = []
  let second: Awaited<ReturnType<typeof startFaultyServer>> | undefined
  const { promise: back, resolve } = Promise.withResolvers<void>()
  const replies = endpoint.ask(requests(30), {
    signal,
    waiting: (why) => {
      told.push(why)
      resolve()
    },
  })
  await back
  second = await startFaultyServer({ port })
  expect((await replies).map((reply) => 'text' in reply && reply.text)).toEqual(
    requests(30).map((_, i) => answerTo(`question ${i}`)),
  )
  await second.close()
  expect(told[0]).toMatch(/^http:\S+: connection refused, trying again \(\d+ s of 15 s\)$/u)
})

test('a server that had answered and stays away: the asking ends, and its requests are no drops', async () => {
  const server = await startFaultyServer()
  const endpoint = endpointAt(server.url)
  await endpoint.ask(requests(1), { signal })
  await server.close()
  const replied: EndpointReply[] = []
  const asked = endpoint.ask(requests(30), { signal, replied: (reply) => void replied.push(reply) })
  await expect(asked).rejects.toMatchObject({
    code: 'ENGINE',
    message: `${server.url} does not answer: no connection`,
  })
  expect(replied).toEqual([])
})

const choice = (top: string): string =>
  `{"choices":[{"message":{"content":"A \\"-Infinity\\""},"finish_reason":"stop","logprobs":{"content":[{"top_logprobs":[${top}]}]}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}`

describe('what a server writes', () => {
  test('-Infinity and NaN, which are no JSON, are read: such a token has no log-probability', async () => {
    let asked = 0
    const top = [
      '{"token":"A","logprob":-0.5}',
      '{"token":"B","logprob":-Infinity}',
      '{"token":"C","logprob":NaN}',
    ]
    const url = await serve((_, response) => {
      asked++
      response.writeHead(200, { 'content-type': 'application/json' }).end(choice(top.join(',')))
    })
    expect(await askOne(url, { topLogprobs: 20 })).toMatchObject({
      text: 'A "-Infinity"',
      topLogprobs: [{ token: 'A', logprob: -0.5 }],
    })
    expect(asked).toBe(1)
  })

  test.each([
    ['{"error":{"message":"too\\n long\\u001b[31m"}}', 'too long [31m'],
    ['{"object":"error","message":"too long","code":400}', 'too long'],
    ['{"error":"too long","error_type":"validation"}', 'too long'],
    ['{"detail":[{"msg":"too long"}]}', '[{"msg":"too long"}]'],
    ['too long', 'too long'],
    [`{"message":"${'x'.repeat(295)}🦊"}`, `${'x'.repeat(295)}�`],
  ])('the reason of a refusal, one line: %s', async (text, reason) => {
    const reply = await askOne(await body(400, 'application/json', text))
    expect(reply).toEqual({ id: 'row-0', finish: 'error', reason: 'refused_400', detail: `400 ${reason}` })
  })
})
