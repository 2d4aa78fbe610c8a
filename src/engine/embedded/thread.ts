/** Starts the engine's worker threads. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/** `name` is a module of this folder. */
export function startThread(name: string, workerData: unknown): Worker {
  // .ts in a checkout, .js in the compiled copy. No flags of the parent: a test runner's loader is none of its business.
  const entry = new URL(`${name}${extname(import.meta.url)}`, import.meta.url)
  return new Worker(entry, { execArgv: [], workerData })
}
