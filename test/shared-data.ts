/** The one place that knows where a checkout's neighbouring data lies: `../shared/data/`, beside the repository. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

const announced = new Set<string>()

/**
 * Absolute path of a file under `../shared/data/`, or null where it is absent. The reason to skip is printed once a file,
 * so that a test run never hides that a check on real data did not happen.
 */
export function sharedData(name: string): string | null {
  const file = resolve(import.meta.dirname, '..', '..', 'shared', 'data', name)
  if (existsSync(file)) return file
  if (!announced.has(name)) {
    announced.add(name)
    process.stderr.write(`skipped: needs ../shared/data/${name}, which is not there\n`)
  }
  return null
}
