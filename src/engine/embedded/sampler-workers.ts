/** Worker threads that sample, and the queue in front of them: every idle worker takes the next task. */
import type { Worker } from 'node:worker_threads'
import { interrupted, LabError, messageOf } from '../../errors.ts'
import { NativeGuard } from './native-guard.ts'
import type { Task, TaskMessage, TaskReply, TaskResults } from './sampler-protocol.ts'
import { startThread } from './thread.ts'

interface Job {
  readonly task: Task
  /** Only this worker may take it; any worker if absent. */
  readonly worker?: number
  readonly cancel: Int32Array
  readonly resolve: (result: TaskResults[Task['kind']]) => void
  readonly reject: (error: unknown) => void
}

interface Thread {
  readonly worker: Worker
  job: Job | null
}

/**
 * A task goes to one worker or to each. Which worker does a task never changes its result.
 * Idle workers do not keep the process alive.
 */
export class SamplerWorkers {
  private readonly threads: Thread[]
  private readonly queue: Job[] = []
  private readonly guard = new NativeGuard()
  private broken: LabError | null = null

  constructor(count: number) {
    this.threads = Array.from({ length: count }, (_, index) => this.start(index))
  }

  /** Runs the task on whichever worker is free first. */
  run<K extends 'generate' | 'score'>(
    task: Extract<Task, { kind: K }>,
    cancel: Int32Array,
  ): Promise<TaskResults[K]> {
    return this.enqueue({ task, cancel }) as Promise<TaskResults[K]>
  }

  get closed(): boolean {
    return this.broken !== null
  }

  /** Runs the task on every worker. */
  async each(task: Extract<Task, { kind: 'open' | 'close' }>): Promise<void> {
    const cancel = new Int32Array(new SharedArrayBuffer(4))
    await Promise.all(this.threads.map((_, worker) => this.enqueue({ task, cancel, worker })))
  }

  /** Tells running tasks to stop, and drops those that have not begun; both end with null. */
  cancel(cancel: Int32Array): void {
    Atomics.store(cancel, 0, 1)
    const dropped = this.queue.filter((job) => job.cancel === cancel)
    for (const job of dropped) {
      this.queue.splice(this.queue.indexOf(job), 1)
      job.resolve(null)
    }
  }

  /** Ends the threads; whatever was running or waiting is rejected as interrupted. */
  async close(): Promise<void> {
    this.fail(interrupted())
    await this.guard.park()
    await Promise.all(this.threads.map(({ worker }) => worker.terminate()))
  }

  private enqueue(job: Pick<Job, 'task' | 'cancel' | 'worker'>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.broken) return reject(this.broken)
      this.queue.push({ ...job, resolve, reject })
      this.dispatch()
    })
  }

  private start(index: number): Thread {
    const worker = startThread('sampler-worker', this.guard.state)
    const thread: Thread = { worker, job: null }
    worker.on('message', (reply: TaskReply) => this.finish(thread, reply))
    worker.on('error', (error) => {
      this.fail(
        new LabError('ENGINE', `a sampling thread failed: ${messageOf(error)}`, {
          cause: error,
        }),
      )
    })
    worker.on('exit', () => this.fail(new LabError('ENGINE', `sampling thread ${index} ended`)))
    worker.unref()
    return thread
  }

  private finish(thread: Thread, reply: TaskReply): void {
    const job = thread.job
    thread.job = null
    thread.worker.unref()
    if (reply.type === 'done') job?.resolve(reply.result)
    else job?.reject(new LabError(reply.code, reply.message, { hint: reply.hint }))
    this.dispatch()
  }

  private dispatch(): void {
    for (const [index, thread] of this.threads.entries()) {
      if (thread.job) continue
      const next = this.queue.findIndex(({ worker }) => worker === undefined || worker === index)
      if (next < 0) continue
      const [job] = this.queue.splice(next, 1)
      if (!job) continue
      thread.job = job
      thread.worker.ref()
      const message: TaskMessage = { task: job.task, cancel: job.cancel }
      thread.worker.postMessage(message, [])
    }
  }

  private fail(error: LabError): void {
    this.broken ??= error
    for (const job of this.queue.splice(0)) job.reject(this.broken)
    for (const thread of this.threads) {
      thread.job?.reject(this.broken)
      thread.job = null
    }
  }
}
