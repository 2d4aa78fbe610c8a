/** A hundred steps of AdamW here and in PyTorch, float32, from the same weights on the same packs: the same losses. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { initialWeights } from '../../src/engine/init-weights.ts'
import { learningRate } from '../../src/engine/embedded/schedule.ts'
import { createEmbeddedTrainer } from '../../src/engine/embedded/trainer.ts'
import { writePacks } from '../../src/engine/packs.ts'
import type { ModelConfig } from '../../src/model/config.ts'
import { parameterCount } from '../../src/model/config.ts'
import { writeModelFolder } from '../../src/model/folder.ts'
import { adamw as recipe, BATCH, config as withPad, documents, packs, STEPS, T } from '../hundred-steps.ts'
import { missingPython, reference } from './python.ts'

/** transformers keeps the embedding of a padding token as it was. */
const plain: ModelConfig = { ...withPad, padId: null }
const folder = mkdtempSync(join(tmpdir(), 'training-parity-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe.skipIf(missingPython() !== null)('a hundred AdamW steps', () => {
  for (const [name, config] of [
    ['llama, tied head, grouped keys', plain],
    ['qwen3, untied head', { ...plain, family: 'qwen3', qkNorm: true, tied: false }],
  ] as const satisfies readonly (readonly [string, ModelConfig])[]) {
    it(`${name}: losses within 1e-3 of PyTorch's at every step`, async () => {
      const model = join(folder, config.family)
      const tokenizerDir = join(folder, 'tokenizer')
      mkdirSync(tokenizerDir, { recursive: true })
      for (const file of ['tokenizer.json', 'tokenizer_config.json'])
        writeFileSync(join(tokenizerDir, file), '{}')
      await writeModelFolder(model, { config, weights: initialWeights(config, 1), tokenizerDir })
      await writePacks(join(folder, 'packs.bin'), packs, { contextLength: T })

      const trainer = createEmbeddedTrainer()
      const ours: number[] = []
      const job = {
        start: { from: 'folder', folder: model },
        packs: join(folder, 'packs.bin'),
        recipe,
        checkpoints: [STEPS],
        workDir: join(folder, `work-${config.family}`),
        tokenizerDir,
      } as const
      for await (const event of trainer.train(job, { signal: new AbortController().signal }))
        if (event.type === 'step') ours.push(event.metrics.loss)
      await trainer.close()

      const steps = Array.from({ length: STEPS }, (_, s) =>
        documents.slice(s * BATCH, (s + 1) * BATCH).flat(),
      )
      const rates = Array.from({ length: STEPS }, (_, s) => learningRate(recipe, s + 1))
      const { beta1, beta2, eps, weight_decay, clip } = recipe
      const optimizer = { lr: recipe.lr, betas: [beta1, beta2], eps, weight_decay }
      const [theirs] = await reference([{ do: 'train_model', folder: model, steps, optimizer, clip, rates }])
      expect(theirs.parameters).toBe(parameterCount(config))
      expect(theirs.losses).toHaveLength(STEPS)
      const worst = Math.max(...ours.map((loss, s) => Math.abs(loss - (theirs.losses[s] ?? Number.NaN))))
      process.stderr.write(`${name}: largest difference of losses over ${STEPS} steps ${worst}\n`)
      expect(worst).toBeLessThan(1e-3)
      expect(ours.at(-1)).toBeLessThan(0.5 * (ours[0] ?? 0))
    })
  }
})
