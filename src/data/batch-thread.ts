/** A thread that encodes batches of rows, one after another. */
import type { Worker } from 'node:worker_threads'
import { LabError, messageOf, type ErrorCode } from '../errors.ts'
import { startThread } from '../thread.ts'
import type { Twin } from './backdoor.ts'
import type { EncodedBatch, RowPlan } from './row-batch.ts'

/** What a thread is started with. */
export interface BatchTask {
  /** Folder of the tokenizer. */
  readonly tokenizer: string
  readonly plan: RowPlan
}

/** What a thread says: once that it is ready, then one answer a batch, in order. After a failure of its own it ends. */
export type BatchReply =
  | { readonly type: 'ready' }
  | { readonly type: 'encoded'; readonly batch: EncodedBatch }
  | {
      readonly type: 'failed'
      readonly code: ErrorCode
      readonly message: string
      readonly hint: string | undefined
      readonly stack: string | undefined
    }

/** The one that it is at, and the one after. */
const MOST_WAITING = 2

export class BatchThread {
  private readonly worker: Worker
  private readonly waiting: PromiseWithResolvers<EncodedBatch>[] = []
  private ready = false
  private broken: LabError | null = null

  constructor(task: BatchTask) {
    this.worker = startThread(import.meta.url, 'batch-worker', task)
    this.worker.on('message', (reply: BatchReply) => {
      if (reply.type === 'ready') this.ready = true
      else if (reply.type === 'encoded') this.waiting.shift()?.resolve(reply.batch)
      else this.fail(failureOf(reply))
    })
    this.worker.on('error', (error) =>
      this.fail(
        new LabError('INTERNAL', `a thread that encodes rows failed: ${messageOf(error)}`, { cause: error }),
      ),
    )
    this.worker.on('exit', () => this.fail(new LabError('INTERNAL', 'a thread that encodes rows ended')))
  }

  /** Whether a batch that is given to it now is begun at once or soon; one that has failed says so in its answer. */
  get hasRoom(): boolean {
    return this.broken !== null || (this.ready && this.waiting.length < MOST_WAITING)
  }

  encode(batch: readonly Twin[]): Promise<EncodedBatch> {
    if (this.broken) return Promise.reject(this.broken)
    const answer = Promise.withResolvers<EncodedBatch>()
    this.waiting.push(answer)
    this.worker.postMessage(batch, [])
    return answer.promise
  }

  /** Resolves when the thread has ended; what it was doing is lost. */
  async close(): Promise<void> {
    await this.worker.terminate()
  }

  private fail(error: LabError): void {
    this.broken ??= error
    for (const { reject } of this.waiting.splice(0)) reject(this.broken)
  }
}

function failureOf({ code, message, hint, stack }: BatchReply & { type: 'failed' }): LabError {
  const error = new LabError(code, message, { hint })
  if (stack !== undefined) error.stack = stack
  return error
}
