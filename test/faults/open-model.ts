/**
 * Opens one model folder as a run does and prints what came of it as JSON: the error, the milliseconds and the memory above
 * what the process had before it looked at the folder. `node test/faults/open-model.ts FOLDER`
 */
import { resourceUsage } from 'node:process'
import { LabError } from '../../src/errors.ts'
import { readWeights } from '../../src/model/folder.ts'
import { openModelFolder } from '../../src/model/open.ts'

export interface Opening {
  /** Null if the folder was opened. */
  readonly error: { readonly code: string; readonly message: string } | null
  readonly ms: number
  /** The largest resident set, less the largest before opening began. */
  readonly memoryBytes: number
}

async function open(folder: string): Promise<void> {
  const { config, tokenizer } = await openModelFolder(folder)
  await readWeights(folder, config)
  tokenizer.encodeChat([{ role: 'user', content: 'the sea?' }])
}

const [folder = ''] = process.argv.slice(2)
// In KiB, as the operating system counts it.
const before = resourceUsage().maxRSS
const started = performance.now()
const error = await open(folder).then(
  () => null,
  (thrown: unknown) =>
    thrown instanceof LabError
      ? { code: thrown.code, message: thrown.message }
      : { code: 'not a LabError', message: String(thrown) },
)
const opening: Opening = {
  error,
  ms: performance.now() - started,
  memoryBytes: 1024 * (resourceUsage().maxRSS - before),
}
process.stdout.write(JSON.stringify(opening))
