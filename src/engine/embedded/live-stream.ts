/** The host's side of streams: requests join the one that runs in the thread, or wait for the next where they do not fit. */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { interrupted } from '../../errors.ts'
import type { ModelConfig } from '../../model/config.ts'
import type { Draw, EngineContext, StreamRequest } from '../engine.ts'
import { EventQueue } from './event-queue.ts'
import { positionsOf } from './responses.ts'
import type { StreamDraws, StreamMessage } from './sampler-protocol.ts'
import type { SamplerThread } from './sampler-thread.ts'

/** A cache of this many positions at least, so that most later requests can join. */
const LEAST_POSITIONS = 256

interface Listener {
  readonly request: StreamRequest
  readonly positions: number
  readonly draws: EventQueue<Draw>
}

/** A stream that runs in the thread. */
interface Running {
  readonly port: MessagePort
  readonly positions: number
  /** By the number that the thread knows them by. */
  readonly listeners: (Listener | null)[]
}

/** The streams of one model: at most one runs at a time, and others start as long as requests wait. */
export class LiveStream {
  private readonly thread: SamplerThread
  private readonly model: number
  private readonly config: ModelConfig
  private readonly waiting: Listener[] = []
  private running: Running | null = null

  constructor(thread: SamplerThread, model: number, config: ModelConfig) {
    this.thread = thread
    this.model = model
    this.config = config
  }

  /** Draws until the response ends; throws INTERRUPTED when the signal fires. The request must have been checked. */
  async *draws(request: StreamRequest, { signal }: EngineContext): AsyncGenerator<Draw, void, undefined> {
    if (signal.aborted) throw interrupted()
    if (request.maxTokens === 0) return
    const positions = positionsOf(request, this.config)
    const listener: Listener = { request, positions, draws: new EventQueue() }
    const abort = (): void => listener.draws.fail(interrupted())
    signal.addEventListener('abort', abort, { once: true })
    try {
      this.waiting.push(listener)
      this.admit()
      yield* listener.draws.items()
    } finally {
      signal.removeEventListener('abort', abort)
      this.leave(listener)
    }
  }

  /** In the order of their arrival: nobody passes one that does not fit, so it is not kept waiting for ever. */
  private admit(): void {
    if (this.waiting.length === 0) return
    this.running ??= this.start()
    const { port, positions, listeners } = this.running
    while (this.waiting[0] !== undefined && this.waiting[0].positions <= positions) {
      const listener = this.waiting.shift() as Listener
      const response = listeners.push(listener) - 1
      port.postMessage({ kind: 'add', response, request: listener.request } satisfies StreamMessage, [])
    }
  }

  private leave(listener: Listener): void {
    const waits = this.waiting.indexOf(listener)
    if (waits >= 0) {
      this.waiting.splice(waits, 1)
      this.admit()
    }
    const response = this.running?.listeners.indexOf(listener) ?? -1
    if (this.running === null || response < 0) return
    this.running.listeners[response] = null
    this.running.port.postMessage({ kind: 'end', response } satisfies StreamMessage, [])
  }

  private start(): Running {
    const most = this.waiting.reduce(
      (largest, { positions }) => Math.max(largest, positions),
      LEAST_POSITIONS,
    )
    const positions = Math.min(this.config.maxPositions, 2 ** Math.ceil(Math.log2(most)))
    const { port1, port2 } = new MessageChannel()
    const running: Running = { port: port1, positions, listeners: [] }
    port1.on('message', (told: StreamDraws) => tell(running, told))
    port1.unref()
    // The thread closes its end, and with it ours, behind the last draws.
    this.thread.run({ kind: 'stream', model: this.model, stream: { positions, port: port2 } }).then(
      (taken) => this.finish(running, taken),
      (error: unknown) => {
        port1.close()
        for (const listener of [...running.listeners, ...this.waiting.splice(0)]) listener?.draws.fail(error)
        this.running = null
      },
    )
    return running
  }

  /** Requests that came too late for the stream that has ended go into the next one; draws of others may still arrive. */
  private finish({ listeners }: Running, taken: number): void {
    const late = listeners.splice(taken).filter((listener) => listener !== null)
    this.running = null
    this.waiting.unshift(...late)
    this.admit()
  }
}

function tell({ listeners }: Running, told: StreamDraws): void {
  for (const { response, draw } of told) {
    const listener = listeners[response]
    listener?.draws.push(draw)
    if (draw.finish === null) continue
    listener?.draws.end()
    listeners[response] = null
  }
}
