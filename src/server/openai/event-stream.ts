/** Server-sent events, as OpenAI sends them: a line of JSON each. */

export interface Events {
  /** Fires when the client has gone. */
  readonly gone: AbortSignal
  /** Never waits: what a slow client has not read is kept, at most its own response. */
  readonly send: (data: string) => void
}

/** The body of a response; it ends when `produce`, which must not throw, is done. */
export function eventStream(produce: (events: Events) => Promise<void>): ReadableStream<Uint8Array> {
  const gone = new AbortController()
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>({
    start(controller) {
      const send = (data: string): void => {
        if (!gone.signal.aborted) controller.enqueue(encoder.encode(`data: ${data}\n\n`))
      }
      void produce({ gone: gone.signal, send }).then(() => {
        if (!gone.signal.aborted) controller.close()
      })
    },
    cancel() {
      gone.abort()
    },
  })
}
