/** Starts the engine's worker threads, with ONNX Runtime's telemetry off: nothing leaves the machine. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/**
 * `name` is a module of this folder. The variable must be set in this thread, before ONNX Runtime is loaded in any:
 * its telemetry otherwise asks the network and writes into the user's cache folder.
 */
export function startThread(name: string, workerData: unknown): Worker {
  process.env['ORT_DISABLE_TELEMETRY'] = '1'
  // .ts in a checkout, .js in the compiled copy. No flags of the parent: a test runner's loader is none of its business.
  const entry = new URL(`${name}${extname(import.meta.url)}`, import.meta.url)
  return new Worker(entry, { execArgv: [], workerData })
}
