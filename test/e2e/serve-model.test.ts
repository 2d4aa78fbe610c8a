/** The server through the real command line: found, asked, talked to, drained by Ctrl-C. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeTinyChatModel } from '../../src/server/openai/server.fixture.ts'
import { cli, type CliResult } from '../cli.ts'

let dir: string
let folder: string
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'serve-model-'))
  folder = (await writeTinyChatModel(dir, { maxPositions: 4096, ends: false })).folder
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** Starts the command; `url` resolves when it says where it listens. */
function serve(args: readonly string[]): {
  url: Promise<string>
  pid: () => number
  ended: Promise<CliResult>
} {
  let pid = 0
  const { promise: url, resolve, reject } = Promise.withResolvers<string>()
  const ended = cli(['serve-model', ...args], {
    onStart: (started, stderr) => {
      pid = started
      const look = setInterval(() => {
        const found = /is served at (http:\S+)\/v1;/.exec(stderr())?.[1]
        if (found === undefined) return
        clearInterval(look)
        resolve(found)
      }, 20)
      setTimeout(() => {
        clearInterval(look)
        reject(new Error(`no server: ${stderr()}`))
      }, 30_000).unref()
    },
  })
  return { url, pid: () => pid, ended }
}

test('serves, tells how to ask, answers what is under way at Ctrl-C and ends with 0', async () => {
  const server = serve([folder, '--port', '0'])
  const url = await server.url
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })
  expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['tiny'])
  const chat = await client.chat.completions.create({
    model: 'tiny',
    messages: [{ role: 'user', content: 'Hello' }],
    max_tokens: 5,
  })
  expect(chat.usage?.completion_tokens).toBe(5)
  const stream = await client.completions.create({
    model: 'tiny',
    prompt: 'The sea',
    max_tokens: 3000,
    temperature: 1,
    stream: true,
    stream_options: { include_usage: true },
  })
  let completed = 0
  let stopped = false
  for await (const { usage } of stream) {
    if (!stopped) process.kill(server.pid(), 'SIGINT')
    stopped = true
    completed = usage?.completion_tokens ?? 0
  }
  expect(completed).toBe(3000)
  const { code, stdout, stderr } = await server.ended
  expect([code, stdout]).toEqual([0, `${url}\n`])
  expect(stderr).toContain(
    `curl ${url}/v1/chat/completions -H 'content-type: application/json' -d '{"model":"tiny"`,
  )
  expect(stderr).toContain('1 requests are under way')
  expect(stderr).not.toMatch(/error|ExperimentalWarning/i)
})

test('a port in use, a folder without a model and a port that is none are one message each', async () => {
  const server = serve([folder, '--port', '0'])
  const { port } = new URL(await server.url)
  const taken = await cli(['serve-model', folder, '--port', port])
  expect([taken.code, taken.stdout]).toEqual([2, ''])
  expect(taken.stderr).toBe(
    `port ${port} of 127.0.0.1 is in use\n  Name another with --port; --port 0 takes any that is free.\n`,
  )
  process.kill(server.pid(), 'SIGTERM')
  expect((await server.ended).code).toBe(0)
  const none = await cli(['serve-model', dir])
  expect([none.code, none.stderr.includes('is neither a model folder nor run/cell@step')]).toEqual([2, true])
  expect((await cli(['serve-model', folder, '--port', '70000'])).code).toBe(2)
})
