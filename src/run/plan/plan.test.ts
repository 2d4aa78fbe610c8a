/** Plans of real experiment files: what is shared, and what changes which key. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import { expand } from '../../spec/expand.ts'
import { loadExperiment, parseExperiment } from '../../spec/load.ts'
import { makePlan, type Plan } from './plan.ts'

const engine = createEmbeddedEngine()
afterAll(() => engine.close())

const sources = { store: 'no store', weights: true, signal: new AbortController().signal }

const laptop = resolve(import.meta.dirname, '../../../examples/laptop.yaml')

async function planOf(...set: string[]): Promise<Plan> {
  const experiment = await loadExperiment(laptop, { set })
  return makePlan(experiment, expand(experiment), () => engine, sources)
}

const keys = (plan: Plan): Set<string> => new Set(plan.stages.map((stage) => `${stage.kind} ${stage.key}`))

/** Titles of stages that are not in the other plan. */
function newIn(plan: Plan, other: Plan): string[] {
  const known = keys(other)
  return plan.stages.filter((stage) => !known.has(`${stage.kind} ${stage.key}`)).map((stage) => stage.title)
}

test('every stage stands after what it needs, once', async () => {
  const { stages } = await planOf()
  const place = new Map(stages.map((stage, i) => [stage, i]))
  for (const stage of stages) {
    for (const need of stage.needs) expect(place.get(need), stage.title).toBeLessThan(place.get(stage) ?? -1)
  }
  expect(new Set(stages.map((stage) => `${stage.kind} ${stage.key}`)).size).toBe(stages.length)
})

test('cells share the base, the organisms, the pirate trainings and the blue data', async () => {
  const { stages, cells, organisms } = await planOf()
  const trainings = stages.filter((stage) => stage.kind === 'train').map((stage) => stage.title)
  // 1 base, 2 organisms, 3 techniques × 2 rates × 2 organisms
  expect(trainings).toHaveLength(15)
  expect(cells).toHaveLength(12)
  expect(organisms.map((organism) => organism.id)).toEqual(['direct', 'distilled'])
  const [pirate, depirate] = ['pirate', 'depirate'].map((name) =>
    cells.find(({ cell }) => cell.organism.name === 'direct' && cell.technique === name),
  )
  expect(depirate?.start).toMatchObject({ kind: 'checkpoint', step: 128 })
  if (depirate?.start.kind === 'checkpoint') expect(depirate.start.training).toBe(pirate?.training)
  expect(depirate?.cell.after).toBe(pirate?.cell.id)
})

test('thresholds and lists of checkpoints change no key; a learning rate changes only what follows from it', async () => {
  const plan = await planOf()
  expect(newIn(await planOf('verdict.theta=0.08'), plan)).toEqual([])
  const more = newIn(await planOf('evals.at=[0, 2, 4, 8, 16, 32, 64, 128]'), plan)
  expect(more.every((title) => title.endsWith('step 2'))).toBe(true)
  expect(more).toHaveLength(12)

  const changed = newIn(await planOf('techniques.depirate.train.lr=2e-4'), plan)
  expect(changed.length).toBeGreaterThan(0)
  expect(changed.every((title) => title.includes('depirate'))).toBe(true)
})

test('a seed reaches every training and draw of its cell; the items of evals stay', async () => {
  const one = await planOf()
  const two = await planOf('seeds=[1, 2]')
  const fresh = newIn(two, one)
  expect(fresh.some((title) => title.startsWith('pretrain tiny'))).toBe(true)
  expect(two.stages.filter((stage) => stage.kind === 'train')).toHaveLength(30)
  // The cells of seed 1 are as they were.
  expect(newIn(one, two)).toEqual([])
})

test('the worker count and the engine are part of every training key', async () => {
  const other = {
    ...engine,
    trainer: { ...engine.trainer, identity: { engine: 'embedded', version: 99 } },
  }
  const experiment = await loadExperiment(laptop, { set: [] })
  const plan = await makePlan(experiment, expand(experiment), () => other, sources)
  const trainings = newIn(plan, await planOf()).filter((title) => /^(pre)?train /.test(title))
  expect(trainings).toHaveLength(15)
})

const lora = (rank: number, targets: string): Promise<Plan> =>
  planOf(
    'axes={}',
    'techniques.hhh.train.method=lora',
    `techniques.hhh.train.lora={ rank: ${rank}, targets: [${targets}] }`,
  )

test('a rank above the sides of every target is refused where it is written; one that a target can have is not', async () => {
  // Keys have 2 heads of 32, values too; queries 4, and the model is 128 wide.
  await expect(lora(65, 'k_proj, v_proj')).rejects.toMatchObject({
    code: 'BAD_SPEC',
    message:
      '--set techniques.hhh.train.lora={ rank: 65, targets: [k_proj, v_proj] }: a rank of 65 is more than 64, the largest that a target of base tiny can have',
    hint: expect.stringContaining('`lora: { rank: 64 }` or less'),
  })
  expect((await lora(64, 'k_proj')).cells).toHaveLength(6)
  expect((await lora(65, 'k_proj, q_proj')).cells).toHaveLength(6)
})

test('the position of such a rank is that in the file', async () => {
  const text = (await readFile(laptop, 'utf8')).replace(
    'train: { lr: 1e-4, batch: 8, steps: 128 }',
    'train: { lr: 1e-4, method: lora, lora: { rank: 1000 }, steps: 128 }',
  )
  const experiment = await parseExperiment(text, 'wide.yaml')
  await expect(makePlan(experiment, expand(experiment), () => engine, sources)).rejects.toMatchObject({
    code: 'BAD_SPEC',
    message: 'a rank of 1000 is more than 128, the largest that a target of base tiny can have',
    at: { file: 'wide.yaml', line: 35, col: 52 },
  })
})
