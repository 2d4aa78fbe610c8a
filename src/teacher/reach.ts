/** Whether anybody is at an address: an address that never answered is given up soon, a server that went away is waited for. */
import { LabError } from '../errors.ts'
import type { Attempt } from './completion.ts'

/** What the user calls the parts of an endpoint, for the hints. */
export interface EndpointNames {
  readonly address: string
  readonly model: string
  readonly key: string
}

export interface Reach {
  /** Before requests are sent: time that passed with nothing to ask is no absence. */
  begin(): void
  /**
   * Told of every attempt. Throws BAD_INPUT where nothing that serves models was ever reached, ENGINE once a server that had
   * answered is away for long; `waiting` is told meanwhile.
   */
  note(result: Attempt, waiting: ((why: string) => void) | undefined): void
}

/** Without one answer since the beginning: pauses until the address counts as wrong; 3 s by default. */
const firstPauses = 12
/** A server is gone when so many attempts in a row did not reach it, for at least so many pauses and three timeouts. */
const goneAttempts = 20
const gonePauses = 240
/** Between two words on one absence. */
const tellEveryMs = 5000

export function createReach(
  url: string,
  { retryMs, timeoutMs, names }: { retryMs: number; timeoutMs: number; names: EndpointNames },
): Reach {
  const firstMs = firstPauses * retryMs
  const goneMs = gonePauses * retryMs + 3 * timeoutMs
  let answered = false
  let missed = 0
  let since = performance.now()
  let toldAt = -Infinity
  return {
    begin: () => {
      since = performance.now()
    },
    note: (result, waiting) => {
      const fault = 'fault' in result ? result.fault : undefined
      // Whoever answers is there, whatever is said; a connection that was cut says nothing.
      if (fault?.reason !== 'connection' && fault?.reason !== 'timeout') {
        if (!answered && fault?.page) throw noServer(url, 'a web page answers there', names)
        answered = true
        missed = 0
        since = performance.now()
        return
      }
      missed++
      const now = performance.now()
      const awayMs = now - since
      const { unreached } = fault
      const tried = missed > 1 && awayMs >= firstMs
      if (!answered && unreached !== undefined && tried) throw noServer(url, unreached, names)
      if (missed >= goneAttempts && awayMs >= goneMs) throw gone(url, fault.reason)
      if (unreached === undefined || now - toldAt < tellEveryMs) return
      toldAt = now
      const [seconds, most] = [awayMs, answered ? goneMs : firstMs].map((ms) => Math.round(ms / 1000))
      waiting?.(`${url}: ${unreached}, trying again (${seconds} s of ${most} s)`)
    },
  }
}

function noServer(url: string, why: string, { address }: EndpointNames): LabError {
  return new LabError('BAD_INPUT', `${url} is no server that can be asked: ${why}`, {
    hint: `start the server, or correct ${address}: that of an OpenAI-compatible server, up to /v1`,
  })
}

function gone(url: string, reason: 'connection' | 'timeout'): LabError {
  const why = reason === 'timeout' ? 'every request timed out' : 'no connection'
  return new LabError('ENGINE', `${url} does not answer: ${why}`, {
    hint: 'start the server; the same command continues with what was not answered yet',
  })
}
