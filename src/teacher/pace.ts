/** How many requests are in flight: fewer when the server says that it is overloaded, more with every answer (AIMD; Chiu & Jain 1989). */

/** One request in flight. */
export interface Ticket {
  /** Counts requests in the order in which they were sent. */
  readonly number: number
}

export interface Pace {
  /** Resolves when there is room; who entered must leave. */
  enter(): Promise<Ticket>
  leave(ticket: Ticket, outcome: 'answered' | 'overloaded' | 'failed'): void
}

/** On overload the limit shrinks to this share, once for all requests that were in flight together. */
const shrink = 0.7
/** What a whole window of answers adds to the limit. */
const growth = 2

/** Begins at the most and never passes it; at least one request is always allowed. */
export function createPace(most: number): Pace {
  let limit = most
  let inFlight = 0
  let sent = 0
  let shrunkAt = 0
  const waiting: ((ticket: Ticket) => void)[] = []

  const admit = (): void => {
    while (inFlight < Math.max(1, Math.floor(limit))) {
      const next = waiting.shift()
      if (next === undefined) return
      inFlight++
      next({ number: sent++ })
    }
  }
  return {
    enter: () =>
      new Promise((resolve) => {
        waiting.push(resolve)
        admit()
      }),
    leave: ({ number }, outcome) => {
      inFlight--
      if (outcome === 'answered') limit = Math.min(most, limit + growth / limit)
      if (outcome === 'overloaded' && number >= shrunkAt) {
        limit = Math.max(1, limit * shrink)
        shrunkAt = sent
      }
      admit()
    },
  }
}
