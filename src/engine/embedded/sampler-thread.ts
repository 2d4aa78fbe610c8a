/** The host's side of the thread that samples: sends tasks, which it does in order, and waits for their replies. */
import type { Worker } from 'node:worker_threads'
import { interrupted, LabError, messageOf } from '../../errors.ts'
import { occupy, vacate, type Cores } from './cores.ts'
import type { Task, TaskMessage, TaskReply, TaskResults } from './sampler-protocol.ts'
import { startThread } from '../../thread.ts'

interface Pending {
  readonly resolve: (result: TaskResults[Task['kind']]) => void
  readonly reject: (error: unknown) => void
}

/** Does not keep the process alive while it is idle. */
export class SamplerThread {
  /** Models that are open in it. */
  models = 0
  private readonly worker: Worker
  private readonly cores: Cores
  private readonly pending = new Map<number, Pending>()
  private sent = 0
  private broken: LabError | null = null

  constructor(cores: Cores) {
    this.cores = cores
    this.worker = startThread(import.meta.url, 'sampler-worker', cores)
    this.worker.on('message', (reply: TaskReply) => this.finish(reply))
    this.worker.on('error', (error) => {
      this.fail(
        new LabError('ENGINE', `the sampling thread failed: ${messageOf(error)}`, {
          hint: error instanceof LabError ? error.hint : undefined,
          cause: error,
        }),
      )
    })
    this.worker.on('exit', () => this.fail(new LabError('ENGINE', 'the sampling thread ended')))
    this.worker.unref()
  }

  /** After it closed or died every task is rejected. */
  get closed(): boolean {
    return this.broken !== null
  }

  run<K extends Task['kind']>(
    task: Extract<Task, { kind: K }>,
    cancel: Int32Array = new Int32Array(new SharedArrayBuffer(4)),
  ): Promise<TaskResults[K]> {
    return new Promise((resolve, reject) => {
      if (this.broken) return reject(this.broken)
      if (task.kind === 'open') this.models++
      if (task.kind === 'close') this.models--
      const id = this.sent++
      if (this.pending.size === 0) occupy(this.cores)
      const failed = (error: unknown): void => {
        // A model that could not be opened keeps no thread for itself.
        if (task.kind === 'open') this.models--
        reject(error)
      }
      this.pending.set(id, { resolve: resolve as Pending['resolve'], reject: failed })
      this.worker.ref()
      const message: TaskMessage = { id, task, cancel }
      this.worker.postMessage(message, message.task.kind === 'stream' ? [message.task.stream.port] : [])
    })
  }

  /** Ends the thread, after the kernel that it is in; whatever was running or waiting is rejected as interrupted. */
  async close(): Promise<void> {
    this.fail(interrupted())
    await this.worker.terminate()
  }

  private finish(reply: TaskReply): void {
    const task = this.pending.get(reply.id)
    // Rejected already.
    if (!task) return
    this.pending.delete(reply.id)
    if (this.pending.size === 0) {
      this.worker.unref()
      vacate(this.cores)
    }
    if (reply.type === 'done') task.resolve(reply.result)
    else task.reject(new LabError(reply.code, reply.message, { hint: reply.hint }))
  }

  private fail(error: LabError): void {
    this.broken ??= error
    if (this.pending.size > 0) vacate(this.cores)
    for (const { reject } of this.pending.values()) reject(this.broken)
    this.pending.clear()
  }
}
