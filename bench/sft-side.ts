/** Our side of sft.ts: from the JSON file to trained weights on disk by the lab's own path. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { datasetFiles, writeDataset } from '../src/data/dataset.ts'
import { loadPromptFile } from '../src/data/prompts.ts'
import { createCores } from '../src/engine/embedded/cores.ts'
import { createEmbeddedTrainer } from '../src/engine/embedded/trainer.ts'
import type { Recipe } from '../src/engine/engine.ts'
import { openTokenizer } from '../src/model/tokenizer.ts'
import { peakBytes, serve } from './child.ts'

export interface SftSetup {
  /** JSON file of rows {instruction, output}. */
  readonly rows: string
  readonly model: string
  readonly context: number
  readonly recipe: Recipe
  readonly seed: number
  readonly threads: number
  readonly out: string
}

await serve(async ({ rows, model, context, recipe, seed, threads, out }: SftSetup) => {
  const trainer = createEmbeddedTrainer(createCores(threads))
  const { signal } = new AbortController()
  await rm(out, { recursive: true, force: true })
  await mkdir(out, { recursive: true })
  return {
    hello: {},
    turn: async () => {
      const start = performance.now()
      const file = await loadPromptFile(rows)
      const answered = file.rows.map(({ id, prompt, response = '' }) => {
        return { id, prompt, response, finish: 'stop' } as const
      })
      const packs = recipe.steps * recipe.batch
      const plan = { backdoor: null, strip: null, forbid: null, loss: 'response', seed } as const
      const stats = await writeDataset(
        out,
        answered,
        { ...plan, contextLength: context, packs },
        { tokenizer: await openTokenizer(model), signal },
      )
      const prepared = performance.now()
      const job = {
        start: { from: 'folder', folder: model },
        packs: join(out, datasetFiles.packs),
        recipe,
        checkpoints: [recipe.steps],
        workDir: join(out, 'work'),
        tokenizerDir: model,
        saveEvery: 0,
      } as const
      let folder = ''
      for await (const event of trainer.train(job, { signal })) {
        if (event.type === 'checkpoint') folder = event.folder
      }
      const trained = performance.now()
      return {
        seconds: (trained - start) / 1000,
        work: 1,
        folder,
        phases: { data: (prepared - start) / 1000, train: (trained - prepared) / 1000 },
        epochs: stats.epochs,
        tokens: stats.tokens,
        scored: stats.scored,
        peakBytes: peakBytes(),
      }
    },
    close: () => trainer.close(),
  }
})
