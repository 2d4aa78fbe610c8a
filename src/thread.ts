/** Starts worker threads. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/** `name` is a module beside `neighbour`, which is the caller's `import.meta.url`. */
export function startThread(neighbour: string, name: string, workerData: unknown): Worker {
  // .ts in a checkout, .js in the compiled copy. No flags of the parent: a test runner's loader is none of its business.
  const entry = new URL(`${name}${extname(neighbour)}`, neighbour)
  return new Worker(entry, { execArgv: [], workerData })
}
