/** Runs one training in a process of its own and prints the highest memory that the process had, in bytes. */
import { readFileSync } from 'node:fs'
import type { TrainJob } from '../../src/engine/engine.ts'
import { createEmbeddedTrainer } from '../../src/engine/embedded/trainer.ts'

const trainer = createEmbeddedTrainer()
const job = JSON.parse(readFileSync(0, 'utf8')) as TrainJob
let steps = 0
for await (const event of trainer.train(job, { signal: new AbortController().signal }))
  if (event.type === 'step') steps++
await trainer.close()
if (steps !== job.recipe.steps) throw new Error(`${steps} steps were taken`)
const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
process.stdout.write(String(1024 * Number(kilobytes)))
