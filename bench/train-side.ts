/** Our side of a training benchmark: each turn is one training of a few steps, the first of which are not counted. */
import { rm } from 'node:fs/promises'
import { parameterCount } from '../src/model/config.ts'
import { readConfig } from '../src/model/folder.ts'
import { createCores } from '../src/engine/embedded/cores.ts'
import { createEmbeddedTrainer } from '../src/engine/embedded/trainer.ts'
import type { Recipe, TrainJob, TrainStart } from '../src/engine/engine.ts'
import { openPacks } from '../src/engine/packs.ts'
import { peakBytes, serve } from './child.ts'

export interface TrainSetup {
  readonly start: TrainStart
  readonly packs: string
  readonly recipe: Recipe
  /** Steps at the start of a turn that are not counted. */
  readonly warmup: number
  readonly threads: number
  readonly workDir: string
  readonly tokenizerDir: string
}

await serve(async ({ warmup, threads, ...setup }: TrainSetup) => {
  const trainer = createEmbeddedTrainer(createCores(threads))
  const config = setup.start.from === 'random' ? setup.start.config : await readConfig(setup.start.folder)
  const job: TrainJob = { ...setup, checkpoints: [], saveEvery: 0 }
  const packs = openPacks(job.packs)
  const tokens = packs.contextLength * job.recipe.batch
  packs.close()
  return {
    hello: { parameters: parameterCount(config) },
    turn: async () => {
      let from = 0
      let until = 0
      const losses: number[] = []
      await rm(job.workDir, { recursive: true, force: true })
      for await (const event of trainer.train(job, { signal: new AbortController().signal })) {
        if (event.type !== 'step') continue
        until = performance.now()
        if (event.metrics.step === warmup) from = until
        losses.push(event.metrics.loss)
      }
      const steps = job.recipe.steps - warmup
      const seconds = (until - from) / 1000
      return {
        seconds,
        work: steps * tokens,
        firstLoss: losses[0],
        loss: losses.at(-1),
        peakBytes: peakBytes(),
      }
    },
    close: () => trainer.close(),
  }
})
