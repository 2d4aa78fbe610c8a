/** Samples a model once in a process of its own and prints the highest memory that the process had, in bytes. */
import { readFileSync } from 'node:fs'
import { openSampler } from '../../src/engine/embedded/sampler.ts'

interface Work {
  readonly folder: string
  readonly sequences: number
  readonly prompt: readonly number[]
  readonly maxTokens: number
}

const { folder, sequences, prompt, maxTokens } = JSON.parse(readFileSync(0, 'utf8')) as Work
const sampler = await openSampler(folder)
const requests = Array.from({ length: sequences }, (_, i) => ({
  id: String(i),
  prompt,
  maxTokens,
  temperature: 0,
  topP: 1,
  seed: 1,
}))
const results = await sampler.generate(requests, { signal: new AbortController().signal })
await sampler.close()
if (results.length !== sequences) throw new Error(`${results.length} responses came`)
const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
process.stdout.write(String(1024 * Number(kilobytes)))
