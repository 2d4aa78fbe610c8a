/** Which checkpoints keep what resuming from them needs, where an engine says that it lies beside them. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import type { Engine, TrainJob } from '../../engine/engine.ts'
import { artifactPath, openStore, readManifest, verifyArtifact, type Store } from '../../store/artifacts.ts'
import { resolveRecipe } from '../../spec/recipe.ts'
import { folderStage } from '../stage.ts'
import { checkpointKey, trainStage, type TrainStage } from './train.ts'

let store: Store
const jobs: TrainJob[] = []
beforeEach(async () => {
  jobs.length = 0
  store = await openStore(mkdtempSync(join(tmpdir(), 'states-')))
})
afterEach(() => rmSync(store.root, { recursive: true }))

/** Writes a word as a checkpoint, and another beside it for resuming. */
function wordTrainer(keep: 'all' | 'newest'): Engine {
  const engine = createEmbeddedEngine()
  return {
    ...engine,
    trainer: {
      ...engine.trainer,
      states: { folder: 'later', keep },
      async *train(job) {
        jobs.push(job)
        for (const step of job.checkpoints) {
          const folder = join(job.workDir, `checkpoint-${step}`)
          mkdirSync(join(folder, 'later'), { recursive: true })
          writeFileSync(join(folder, 'word.txt'), `at ${step}`)
          writeFileSync(join(folder, 'later', 'more.txt'), `for going on from ${step}`)
          yield await Promise.resolve({ type: 'checkpoint', step, folder } as const)
        }
      },
    },
  }
}

function training(steps: readonly number[]): TrainStage {
  const nothing = { inputs: {}, needs: [], seconds: 0, fill: () => Promise.resolve() }
  const dataset = folderStage({ kind: 'dataset', title: 'd', ...nothing })
  const stage = trainStage({
    title: 't',
    start: { from: 'model', model: { kind: 'folder', folder: '/m', hash: 'm' }, seed: 1 },
    dataset,
    tokenizer: { folder: '/m', hash: 'm' },
    recipe: resolveRecipe({ method: 'full', lr: 1, steps: 9 } as Parameters<typeof resolveRecipe>[0]),
    identity: {},
    engine: 'torch',
    section: 'techniques',
    cost: {
      parameters: 1,
      trained: 1,
      tokens: 1,
      flops: 1,
      seconds: 1,
      memoryBytes: 1,
      disk: { weights: 1, state: 1 },
      keepsStates: 'newest',
    },
    memory: { bytes: 1, parts: [] },
  })
  for (const step of steps) stage.want(step)
  return stage
}

async function perform(stage: TrainStage, keep: 'all' | 'newest'): Promise<number[]> {
  const signal = new AbortController().signal
  await stage.perform({ store, engine: wordTrainer(keep), signal, progress: () => {}, waiting: () => {} })
  const folderAt = (step: number) => artifactPath(store, 'checkpoint', checkpointKey(stage.key, step))
  return [1, 2, 3, 4, 5, 6, 7, 8, 9].filter((step) => existsSync(join(folderAt(step), 'later', 'more.txt')))
}

test('the newest alone, and none after the last step', async () => {
  const stage = training([3, 6])
  expect(await perform(stage, 'newest')).toEqual([6])
  const longer = training([3, 6, 9])
  expect(await perform(longer, 'newest')).toEqual([])
  // It went on from step 6, whose state went when step 9 was there.
  const at6 = artifactPath(store, 'checkpoint', checkpointKey(stage.key, 6))
  expect(jobs.map(({ checkpoints, resumeFrom }) => [checkpoints, resumeFrom])).toEqual([
    [[3, 6], undefined],
    [[9], at6],
  ])
  for (const step of [3, 6, 9]) {
    const key = checkpointKey(longer.key, step)
    expect(Object.keys((await readManifest(store, 'checkpoint', key))?.files ?? {})).toEqual(['word.txt'])
    await verifyArtifact(store, 'checkpoint', key)
  }
})

test('all of them, where that is asked for', async () => {
  expect(await perform(training([3, 9]), 'all')).toEqual([3, 9])
  await perform(training([3, 5, 9]), 'all')
  const at3 = artifactPath(store, 'checkpoint', checkpointKey(training([]).key, 3))
  expect(jobs.at(-1)).toMatchObject({ checkpoints: [5], resumeFrom: at3 })
})

test('a step that is asked for later begins anew where no state is left', async () => {
  await perform(training([3, 9]), 'newest')
  await perform(training([3, 5, 9]), 'newest')
  expect(jobs.at(-1)).toMatchObject({ checkpoints: [5] })
  expect(jobs.at(-1)).not.toHaveProperty('resumeFrom')
})
