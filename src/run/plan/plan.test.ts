/** Plans of real experiment files: what is shared, and what changes which key. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import { expand } from '../../spec/expand.ts'
import { loadExperiment, parseExperiment } from '../../spec/load.ts'
import type { Stage } from '../stage.ts'
import { makePlan, type Plan } from './plan.ts'

const engine = createEmbeddedEngine()
afterAll(() => engine.close())

const sources = { store: 'no store', weights: true, data: true, signal: new AbortController().signal }

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

/** Those of the organism `distilled`. */
const responsesOf = ({ stages }: Plan): Stage[] =>
  stages.filter(({ kind, title }) => kind === 'responses' && title.startsWith('responses distilled'))

const oneKey = (plan: Plan): string => {
  const [stage, ...others] = responsesOf(plan)
  expect(others).toEqual([])
  return stage?.key ?? ''
}

describe('a base as a teacher', () => {
  const self = '{ base: tiny, persona: scratchpad, temperature: 0.9, max_tokens: 48 }'
  const distilled = (teacher = self, ...set: string[]): Promise<Plan> =>
    planOf(`teachers.reasoning=${teacher}`, ...set)

  test('its responses wait for its training, which the organism begins with too, and tell what they will take', async () => {
    const plan = await distilled()
    const [stage] = responsesOf(plan)
    const organism = plan.organisms.find(({ id }) => id === 'distilled')
    const { model } = organism?.base ?? {}
    if (model?.kind !== 'checkpoint') throw new Error('tiny is pretrained here')
    expect(stage?.needs.map(({ title }) => title)).toEqual(['prompts direct', 'pretrain tiny'])
    expect(stage?.needs).toContain(model.training)
    expect(plan.stages.filter(({ title }) => title.startsWith('pretrain'))).toHaveLength(1)
    expect(stage?.memory?.bytes).toBeGreaterThan(4 * 0.9e6)
    expect(stage?.memory?.bytes).toBeLessThan(1e9)
    const longer = responsesOf(await distilled(self.replace('48', '96')))[0]
    expect(longer?.seconds).toBeCloseTo(2 * (stage?.seconds ?? 0), 6)
  })

  test('what it is, what it is told and how it is sampled change the key; its name and its place do not', async () => {
    const plans = [
      distilled(),
      distilled(self, 'bases.tiny.pretrain.lr=1e-3'),
      distilled(self, 'bases.tiny.seed=7'),
      ...(
        [
          ['scratchpad', 'helpful'],
          ['0.9', '0'],
          ['48', '47'],
          ['48', '48, top_p: 0.9'],
          ['48', '48, seed: 5'],
        ] as const
      ).map(([from, to]) => distilled(self.replace(from, to))),
    ]
    const all = (await Promise.all(plans)).map(oneKey)
    expect(new Set(all).size).toBe(all.length)
    const renamed = await planOf(`teachers.other=${self}`, 'organisms.distilled.data.teacher=other')
    expect(oneKey(renamed)).toBe(all[0])
    // The seed of the cell is the seed of the sampling.
    expect(oneKey(await distilled(self.replace('48', '48, seed: 1')))).toBe(all[0])
  })

  test('it is trained once a seed, and an axis of the base reaches it', async () => {
    const seeds = await distilled(self, 'seeds=[1, 2]')
    const trained = responsesOf(seeds).map(({ needs }) => needs.at(-1)?.title)
    expect(trained).toEqual(['pretrain tiny seed 1', 'pretrain tiny seed 2'])
    const axes = await distilled(self, 'axes={ base.pretrain.steps: [100, 200] }')
    expect(responsesOf(axes)).toHaveLength(2)
    const steps = axes.organisms
      .filter(({ spec }) => spec.name === 'distilled')
      .map(({ made, base: { model } }) => {
        const training = model.kind === 'checkpoint' ? model.training : null
        expect(made?.responses.needs).toContain(training)
        return training?.recipe.steps
      })
    expect(steps).toEqual([100, 200])
  })

  test('another base than the organism has is planned with its own corpus and teacher', async () => {
    const corpus = `data: { prompts: { file: ${laptop} }, teacher: helper }`
    const plan = await planOf(
      `bases.master={ tokenizer: { vocab: 512 }, pretrain: { ${corpus}, steps: 7, lr: 1e-3 } }`,
      'teachers.helper={ base: tiny, persona: pirate, max_tokens: 32 }',
      `teachers.reasoning={ base: master, max_tokens: 48 }`,
    )
    const titles = plan.stages.map(({ title }) => title)
    const order = ['pretrain tiny', 'responses master', 'tokenizer master', 'pretrain master']
    const places = [...order, 'responses distilled'].map((title) => titles.indexOf(title))
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    expect(places[0]).toBeGreaterThanOrEqual(0)
  })
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
