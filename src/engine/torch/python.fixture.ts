/** An executable that behaves as package.fixture.ts does in one scenario, and a job for it. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TrainJob } from '../engine.ts'
import { tinyConfig } from '../embedded/random-model.fixture.ts'

const script = fileURLToPath(new URL('package.fixture.ts', import.meta.url))

export function writePython(folder: string, scenario: string): string {
  const file = join(folder, `python-${scenario.replaceAll(' ', '-')}`)
  writeFileSync(file, `#!/bin/sh\nSCENARIO="${scenario}" exec "${process.execPath}" "${script}" "$@"\n`)
  chmodSync(file, 0o755)
  return file
}

/** Fresh weights, two steps, a checkpoint at the second. */
export function twoSteps(folder: string, name: string): TrainJob {
  const tokenizerDir = join(folder, 'tokenizer')
  mkdirSync(tokenizerDir, { recursive: true })
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    writeFileSync(join(tokenizerDir, file), '{}')
  return {
    start: { from: 'random', config: tinyConfig, seed: 3 },
    packs: join(folder, 'packs.bin'),
    recipe: {
      method: 'full',
      optimizer: 'adamw',
      lr: 1e-3,
      schedule: 'constant',
      warmup: 0,
      batch: 2,
      steps: 2,
      weight_decay: 0.01,
      beta1: 0.9,
      beta2: 0.999,
      eps: 1e-8,
      clip: 1,
    },
    checkpoints: [2],
    workDir: join(folder, name),
    tokenizerDir,
  }
}
