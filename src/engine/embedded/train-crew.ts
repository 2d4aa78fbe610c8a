/** A crew: the threads that train together, kept with their compiled sessions from one training to the next. */
import { startThread } from './thread.ts'
import type { Worker } from 'node:worker_threads'
import { LabError } from '../../errors.ts'
import type { TrainEvent } from '../engine.ts'
import { NativeGuard } from './native-guard.ts'
import type { TrainTask, WorkerMessage } from './train-task.ts'

/** Called as things happen; after `onEnd` nothing more comes. */
export interface CrewListener {
  onEvent(event: TrainEvent): void
  onEnd(error?: LabError): void
}

export class Crew {
  readonly size: number
  private readonly threads: Worker[]
  private readonly guard = new NativeGuard()
  private broken = false

  constructor(size: number) {
    this.size = size
    this.threads = Array.from({ length: size }, () => this.thread())
    for (const thread of this.threads) thread.unref()
  }

  private thread(): Worker {
    return startThread('train-worker', this.guard.state)
  }

  /** A crew that failed is not used again: some of its threads may still wait for the others. */
  get usable(): boolean {
    return !this.broken
  }

  /** Starts one task a thread. One run at a time. */
  run(tasks: readonly TrainTask[], listener: CrewListener): void {
    let left = tasks.length
    const cleanups: (() => void)[] = []
    const end = (error?: LabError): void => {
      for (const cleanup of cleanups) cleanup()
      if (error !== undefined) this.broken = true
      listener.onEnd(error)
    }
    for (const [i, thread] of this.threads.entries()) {
      const onMessage = (message: WorkerMessage): void => {
        if (message.type === 'event') listener.onEvent(message.event)
        else if (message.type === 'failed') end(failureOf(message))
        else if (--left === 0) end()
      }
      const onError = (error: unknown): void =>
        end(new LabError('ENGINE', 'a training thread failed', { cause: error }))
      const onExit = (code: number): void =>
        end(new LabError('ENGINE', `a training thread ended with code ${code}`))
      thread.on('message', onMessage).on('error', onError).on('exit', onExit).ref()
      cleanups.push(() => thread.off('message', onMessage).off('error', onError).off('exit', onExit).unref())
      thread.postMessage(tasks[i], [])
    }
  }

  /** Ends the threads; one that is inside a graph ends when that returns. */
  async close(): Promise<void> {
    this.broken = true
    await this.guard.park()
    await Promise.all(this.threads.map((thread) => thread.terminate()))
  }
}

function failureOf({ code, message, hint, stack }: WorkerMessage & { type: 'failed' }): LabError {
  const error = new LabError(code, message, { hint })
  if (stack !== undefined) error.stack = stack
  return error
}
