/** Teachers whose servers fail, and teachers that are killed meanwhile: the long form is `node test/teacher/kill.ts`. */
import { expect, test } from 'vitest'
import { openEndpoint } from '../../src/teacher/endpoint.ts'
import { answerTo, startFaultyServer } from '../teacher/faulty-server.ts'
import { faultRates, killAndCompare } from '../teacher/kill.ts'

test('5,000 responses of a server with 30% of 429s and ten other faults: none lost, twice or partial, and the pace comes back', async () => {
  const server = await startFaultyServer({ rates: faultRates, latencyMs: 20, retryAfter: '1' })
  let told = 0
  let peakAfterFaults = 0
  const requests = Array.from({ length: 5000 }, (_, i) => ({
    id: `row-${i}`,
    messages: [{ role: 'user' as const, content: `question ${i}` }],
    maxTokens: 100,
    temperature: 1,
    topP: 1,
  }))
  const endpoint = openEndpoint({
    url: server.url,
    model: 'm',
    timeoutMs: 3000,
    concurrency: 32,
    retryMs: 20,
  })
  const replies = await endpoint.ask(requests, {
    signal: new AbortController().signal,
    replied: () => {
      told++
      if (told === 3500) server.rates = {}
      if (told === 4700) server.peak = 0
      if (told === 4960) peakAfterFaults = server.peak
    },
  })
  await server.close()
  expect(told).toBe(5000)
  expect(replies.map((reply) => reply.id)).toEqual(requests.map(({ id }) => id))
  const wrong = replies.filter(
    (reply, i) => reply.finish !== 'stop' || reply.text !== answerTo(`question ${i}`),
  )
  expect(wrong).toEqual([])
  expect([...server.answered].filter(([, times]) => times !== 1)).toEqual([])
  expect(server.met.size).toBe(12)
  expect(peakAfterFaults).toBe(32)
})

test('kill -9 at 5 random moments, 30% of 429s and ten other faults: the same file, nothing asked again', async () => {
  const report = await killAndCompare(1500, 5, 3)
  expect(report).toMatchObject({ same: true, repeated: 0, kills: 5 })
  expect(Object.keys(report.met)).toHaveLength(12)
  // At most what was in flight at each kill.
  expect(report.lostInFlight).toBeLessThanOrEqual(5 * 32)
})
