/** The HTTP server around the routes: where it listens, and how it closes without cutting anybody off. */
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { createAdaptorServer, type ServerType } from '@hono/node-server'
import { LabError, messageOf } from '../../errors.ts'
import { openaiApp } from './app.ts'
import type { ServedModel } from './ask.ts'
import { Traffic, type Totals } from './traffic.ts'

export interface ServerOptions {
  readonly model: ServedModel
  readonly host: string
  /** 0: one that is free. */
  readonly port: number
  /** Takes a line for the person who runs the server. */
  readonly note: (line: string) => void
}

export interface OpenaiServer {
  /** e.g. `http://127.0.0.1:8000` */
  readonly url: string
  readonly underWay: number
  readonly totals: Totals
  /** Refuses new requests with 503, answers those under way, and ends. The sampler stays open. */
  close(): Promise<void>
}

/** A client may use a connection again within this time. */
const keepAliveMs = 60_000
/** For the rest of an answer, once the server closes. */
const sendingMs = 5_000

/** Listens when it resolves. Throws BAD_INPUT if the address cannot be had. */
export async function startOpenaiServer({ model, host, port, note }: ServerOptions): Promise<OpenaiServer> {
  const traffic = new Traffic()
  const closing = new AbortController()
  const app = openaiApp({ model, traffic, closing: closing.signal, note })
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false })
  if ('keepAliveTimeout' in server) server.keepAliveTimeout = keepAliveMs
  const sending = new Set<ServerResponse>()
  server.on('request', (_request: unknown, response: ServerResponse) => {
    sending.add(response)
    response.once('close', () => sending.delete(response))
  })
  await new Promise<void>((listening, failed) => {
    server.once('error', (error: NodeJS.ErrnoException) => failed(cannotListen(error, { host, port })))
    server.listen(port, host, listening)
  })
  const bound = (server.address() as AddressInfo).port
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    get underWay() {
      return traffic.underWay
    },
    get totals() {
      return traffic.totals
    },
    async close() {
      closing.abort()
      await traffic.drained()
      await closeConnections(server, sending)
    },
  }
}

/** Ends every connection as soon as what was answered has been sent; a client that does not read it keeps nobody for long. */
async function closeConnections(server: ServerType, sending: ReadonlySet<unknown>): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  const patience = performance.now() + sendingMs
  while (sending.size > 0 && performance.now() < patience) await setTimeout(10)
  // Those on which nothing was ever asked do not count as idle.
  if ('closeAllConnections' in server) server.closeAllConnections()
  await closed
}

function cannotListen(
  error: NodeJS.ErrnoException,
  { host, port }: { readonly host: string; readonly port: number },
): LabError {
  if (error.code === 'EADDRINUSE') {
    return new LabError('BAD_INPUT', `port ${port} of ${host} is in use`, {
      hint: 'Name another with --port; --port 0 takes any that is free.',
      cause: error,
    })
  }
  return new LabError('BAD_INPUT', `cannot listen on port ${port} of ${host} (${messageOf(error)})`, {
    cause: error,
  })
}
