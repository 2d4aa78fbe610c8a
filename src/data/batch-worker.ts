/** Entry of a thread that encodes batches of rows. */
import { parentPort, workerData } from 'node:worker_threads'
import { LabError, messageOf } from '../errors.ts'
import { openTokenizer } from '../model/tokenizer.ts'
import type { Twin } from './backdoor.ts'
import type { BatchReply, BatchTask } from './batch-thread.ts'
import { batchEncoder } from './row-batch.ts'

const post = (reply: BatchReply, moved: ArrayBuffer[] = []): void => parentPort?.postMessage(reply, moved)

function failure(error: unknown): BatchReply {
  return {
    type: 'failed',
    code: error instanceof LabError ? error.code : 'INTERNAL',
    message: messageOf(error),
    hint: error instanceof LabError ? error.hint : undefined,
    stack: error instanceof Error ? error.stack : undefined,
  }
}

try {
  const { tokenizer, plan } = workerData as BatchTask
  const encode = batchEncoder(plan, await openTokenizer(tokenizer))
  parentPort?.on('message', (twins: readonly Twin[]) => {
    try {
      const batch = encode(twins)
      const { ids, lengths, responseFrom } = batch.tokens
      post(
        { type: 'encoded', batch },
        [batch.lines, ids, lengths, responseFrom].map(({ buffer }) => buffer),
      )
    } catch (error) {
      post(failure(error))
    }
  })
  post({ type: 'ready' })
} catch (error) {
  post(failure(error))
}
