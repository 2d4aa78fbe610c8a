/** The endpoint against a real server with faults: one reply a request, whole or an error, and a pace that comes back. */
import { afterEach, expect, test } from 'vitest'
import {
  answerTo,
  startFaultyServer,
  type FaultyOptions,
  type FaultyServer,
} from '../../test/teacher/faulty-server.ts'
import { openEndpoint, type EndpointOptions, type EndpointReply, type EndpointRequest } from './endpoint.ts'

const servers: FaultyServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

async function serve(options: FaultyOptions): Promise<FaultyServer> {
  const server = await startFaultyServer(options)
  servers.push(server)
  return server
}

const signal = new AbortController().signal
const settings = { model: 'm', timeoutMs: 300, concurrency: 16, retryMs: 5 } as const

function requests(n: number, change: Partial<EndpointRequest> = {}): EndpointRequest[] {
  return Array.from({ length: n }, (_, i) => ({
    id: `row-${i}`,
    messages: [{ role: 'user', content: `question ${i}` }],
    maxTokens: 100,
    temperature: 1,
    topP: 1,
    ...change,
  }))
}

async function ask(
  server: FaultyServer,
  count: number,
  options: Partial<EndpointOptions> = {},
): Promise<EndpointReply[]> {
  return openEndpoint({ ...settings, url: server.url, ...options }).ask(requests(count), { signal })
}

test('150 requests over every kind of fault: none lost, none twice, none partial', async () => {
  const others = ['unavailable', 'server_error', 'reset', 'cut', 'half_json', 'error_body'] as const
  const rates = Object.fromEntries(
    [...others, 'invalid_json', 'empty', 'unfinished'].map((kind) => [kind, 0.03]),
  )
  const server = await serve({ rates: { ...rates, too_many: 0.3, silence: 0.01 }, retryAfter: '0.01' })
  const told: string[] = []
  const replies = await openEndpoint({ ...settings, url: server.url, timeoutMs: 700 }).ask(requests(150), {
    signal,
    replied: ({ id }) => void told.push(id),
  })
  expect(replies).toEqual(
    requests(150).map(({ id }, i) => ({
      id,
      text: answerTo(`question ${i}`),
      finish: 'stop',
      tokens: expect.anything(),
    })),
  )
  expect(new Set(told).size).toBe(150)
  expect(told).toHaveLength(150)
  // The server answered each once: nothing that was whole was thrown away.
  expect([...server.answered].filter(([, times]) => times !== 1)).toEqual([])
  expect(server.met.size).toBe(12)
}, 60_000)

test('in flight: at most what is allowed, few while the server refuses, all again when it does not', async () => {
  // Answers take long enough that requests meet at the server, however busy the machine.
  const server = await serve({ latencyMs: 40, rates: { too_many: 0.6 }, retryAfter: '0' })
  const endpoint = openEndpoint({ ...settings, url: server.url })
  await endpoint.ask(requests(30), { signal })
  expect(server.peak).toBe(16)
  server.peak = 0
  await endpoint.ask(requests(30), { signal })
  expect(server.peak).toBeLessThan(12)
  server.rates = {}
  await endpoint.ask(requests(150), { signal })
  server.peak = 0
  await endpoint.ask(requests(60), { signal })
  expect(server.peak).toBe(16)
}, 60_000)

// A date has whole seconds: this one is half a second away or more. Without it the pause would be 5 ms.
test.concurrent.each([
  ['in seconds', '1', 950],
  ['as a date', () => new Date(Date.now() + 1500).toUTCString(), 450],
] as const)('Retry-After is waited for, %s', async (_, retryAfter, leastMs) => {
  const server = await startFaultyServer({ rates: { too_many: 1 }, retryAfter })
  const started = performance.now()
  const asked = ask(server, 1)
  await expect.poll(() => server.met.get('too_many'), { timeout: 10_000 }).toBe(1)
  server.rates = {}
  await asked
  await server.close()
  expect(performance.now() - started).toBeGreaterThan(leastMs)
  expect(server.seen).toHaveLength(2)
})

test.concurrent.each([
  ['empty', 'empty', 6],
  ['error_body', 'error_body', 12],
  ['invalid_json', 'invalid_reply', 12],
  ['half_json', 'invalid_reply', 12],
  ['unfinished', 'invalid_reply', 12],
  ['cut', 'cut', 12],
  ['reset', 'connection', 12],
  ['silence', 'timeout', 12],
  ['server_error', 'server_error', 12],
] as const)('%s without end is an error "%s" after %i attempts', async (kind, reason, attempts) => {
  const server = await startFaultyServer({ rates: { [kind]: 1 } })
  const [reply] = await ask(server, 1, { timeoutMs: 100, retryMs: 0.05 })
  await server.close()
  expect(reply).toMatchObject({ id: 'row-0', finish: 'error', reason })
  expect(server.seen).toHaveLength(attempts)
})

test('a request that the server does not take is not sent again, and says why', async () => {
  const server = await serve({ rates: { bad_request: 1 } })
  const [reply] = await ask(server, 1)
  const detail = expect.stringContaining('max_tokens is too large')
  expect(reply).toEqual({ id: 'row-0', finish: 'error', reason: 'refused_400', detail })
  expect(server.seen).toHaveLength(1)
})

test('a key that is refused ends everything, and the message does not have it', async () => {
  const server = await serve({ rates: { unauthorized: 1 } })
  const asked = ask(server, 100, { apiKey: 'sk-secret' }).catch((error: unknown) => error)
  const error = await asked
  expect(error).toMatchObject({
    code: 'BAD_INPUT',
    message: expect.stringContaining('Incorrect key: Bearer ***'),
  })
  expect(server.seen.length).toBeLessThanOrEqual(16)
})

test('a response at its limit of tokens says so', async () => {
  const server = await serve({})
  const endpoint = openEndpoint({ ...settings, url: server.url })
  const [reply] = await endpoint.ask(requests(1, { maxTokens: 2 }), { signal })
  expect(reply).toMatchObject({ finish: 'length', text: 'question 0:', tokens: { completion: 2 } })
})

test('log-probabilities that a server leaves out are an error, not an empty list', async () => {
  const server = await serve({})
  const endpoint = openEndpoint({ ...settings, url: server.url })
  const [reply] = await endpoint.ask(requests(1, { topLogprobs: 5 }), { signal })
  expect(reply).toEqual({ id: 'row-0', finish: 'error', reason: 'no_logprobs' })
  expect(JSON.parse(server.seen[0]!.body)).toMatchObject({ logprobs: true, top_logprobs: 5 })
})

test('the key of the environment reaches no server; the given one does, and no message has it', async () => {
  process.env['OPENAI_API_KEY'] = 'sk-of-the-environment'
  process.env['OPENAI_ORG_ID'] = 'org-of-the-environment'
  const server = await serve({})
  try {
    await ask(server, 1)
    await ask(server, 1, { apiKey: 'sk-given' })
  } finally {
    delete process.env['OPENAI_API_KEY']
    delete process.env['OPENAI_ORG_ID']
  }
  expect(JSON.stringify(server.seen)).not.toContain('of-the-environment')
  expect(server.seen[1]?.headers.authorization).toBe('Bearer sk-given')
})

test('an abort ends all requests in flight as INTERRUPTED', async () => {
  const server = await serve({ rates: { silence: 1 } })
  const controller = new AbortController()
  const asked = openEndpoint({ ...settings, url: server.url, timeoutMs: 60_000 }).ask(requests(50), {
    signal: controller.signal,
  })
  const ended = expect(asked).rejects.toMatchObject({ code: 'INTERRUPTED' })
  await expect.poll(() => server.seen.length, { timeout: 20_000 }).toBe(16)
  controller.abort()
  await ended
  expect(server.seen.length).toBe(16)
})

test('half a surrogate pair in an answer is U+FFFD', async () => {
  const server = await serve({})
  const [request] = requests(1, { messages: [{ role: 'user', content: 'half: \ud83e' }] })
  const [reply] = await openEndpoint({ ...settings, url: server.url }).ask([request!], { signal })
  expect(reply).toMatchObject({ text: answerTo('half: \ud83e').toWellFormed() })
  expect(reply).toMatchObject({ text: expect.stringMatching(/^half: \ufffd: /) as string })
})
