/** Encodes batches of rows in this thread and in others at the same time: what comes out does not depend on how many they are. */
import { setImmediate as turnOfEventLoop } from 'node:timers/promises'
import type { Twin } from './backdoor.ts'
import { BatchThread, type BatchTask } from './batch-thread.ts'
import type { BatchEncoder, EncodedBatch } from './row-batch.ts'

/** Batches that may be done or under way before the first of them is taken, for each thread: they bound the memory. */
const AHEAD = 16

/**
 * The batches in their order, encoded here and by one thread for each of the `others`. A batch goes to a thread that waits for one, else it is encoded here. The other threads have
 * ended when this ends, however it does. Throws the first batch's error, in their order.
 */
export async function* encodeBatches(
  batches: Iterable<readonly Twin[]>,
  encode: BatchEncoder,
  { signal, others }: { readonly signal: AbortSignal; readonly others: readonly BatchTask[] },
): AsyncGenerator<EncodedBatch, void, undefined> {
  const threads = others.map((task) => new BatchThread(task))
  // Nothing is thrown before its turn.
  const here = async (batch: readonly Twin[]): Promise<EncodedBatch> => encode(batch)
  const underWay: Promise<EncodedBatch>[] = []
  try {
    for (const batch of batches) {
      // Lets Ctrl-C and the answers of threads through.
      await turnOfEventLoop()
      signal.throwIfAborted()
      const encoded = threads.find(({ hasRoom }) => hasRoom)?.encode(batch) ?? here(batch)
      encoded.catch(() => undefined)
      underWay.push(encoded)
      if (underWay.length > AHEAD * threads.length) yield await (underWay.shift() as Promise<EncodedBatch>)
    }
    for (const encoded of underWay) yield await encoded
  } finally {
    await Promise.all(threads.map((thread) => thread.close()))
  }
}
