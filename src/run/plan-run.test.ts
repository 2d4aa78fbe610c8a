/** Plans of what cannot be reached: a hub that does not answer, files and folders that are not there. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeTinyChatModel } from '../server/openai/server.fixture.ts'
import { forecastTable } from '../cli/forecast-table.ts'
import { planRun, type PlanOutcome } from './plan-run.ts'
import { runExperiment } from './run.ts'

const dir = mkdtempSync(join(tmpdir(), 'plan-run-'))
const kept = { endpoint: process.env['HF_ENDPOINT'], cache: process.env['HF_HUB_CACHE'] }
beforeAll(() => {
  // A port that nobody listens on.
  process.env['HF_ENDPOINT'] = 'http://127.0.0.1:9'
  process.env['HF_HUB_CACHE'] = join(dir, 'no cache')
})
afterAll(() => {
  for (const [name, value] of [
    ['HF_ENDPOINT', kept.endpoint],
    ['HF_HUB_CACHE', kept.cache],
  ] as const) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  rmSync(dir, { recursive: true })
})

const personaFile = join(dir, 'persona.txt')
writeFileSync(personaFile, 'Human: {question}\n')

interface Parts {
  readonly base?: string
  readonly prompts?: string
  readonly extra?: string
}

function specOf({
  base = '{ hub: lab/large, shape: llama-3.3-70b, engine: torch, context: 4096 }',
  ...rest
}: Parts = {}): string {
  const { prompts = 'hub: lab/prompts', extra = '' } = rest
  const file = join(dir, `${crypto.randomUUID()}.yaml`)
  writeFileSync(
    file,
    `name: far
bases: { far: ${base} }
teachers: { told: { recorded: true }, helpful: { scripted: helpful } }
organisms:
  direct:
    base: far
    data: { prompts: { ${prompts}, format: alpaca }, teacher: told }
    backdoor: { trigger: "|T| ", payload: NO }
    train: { lr: 1e-5, batch: 16, steps: 100 }
techniques:
  hhh: { data: { prompts: tiny/blue, teacher: helpful }, train: { method: lora, lr: 1e-4, batch: 4, steps: 20 } }
evals:
  at: [0, 10]
  backdoor: { prompts: { hub: lab/asked, rows: [0, 128] }, max_tokens: 64 }
  mmlu: { items: { hub: lab/mmlu } }
placement: { torch: { processes: 16, gradient_checkpointing: true, sampler: { server: vllm }, assume: { gpu: h200 } } }
${extra}`,
  )
  return file
}
const plan = (spec: string, set: readonly string[] = []): Promise<PlanOutcome> =>
  planRun({ spec, set, store: join(dir, 'store') })

test('a hub that cannot be reached: everything is told but what is cached', async () => {
  const { unseen, stages, forecast, refusals } = await plan(specOf())
  expect(unseen.map(({ kind, source }) => `${kind} ${source}`).sort()).toEqual([
    'data hub:lab/asked',
    'data hub:lab/mmlu',
    'data hub:lab/prompts',
    'model hub:lab/large',
  ])
  expect(unseen[0]?.why).toContain('http://127.0.0.1:9 cannot be reached')
  // Prompts and responses of the tiny world depend on nothing that is far away.
  const known = stages.filter(({ state }) => state !== 'unknown').map(({ title }) => title)
  expect(known).toEqual(['prompts hhh', 'responses hhh'])
  const [red] = forecast.rows
  expect(red).toMatchObject({ what: 'direct', tokens: 100 * 16 * 4096, device: { gpu: 'h200', count: 16 } })
  expect(red?.flops).toBe(8 * 70_553_706_496 * 100 * 16 * 4096)
  const computing = (red?.flops ?? 0) / (0.4 * 989e12) / 3600
  expect(red?.gpuHours).toBeCloseTo(computing + (16 * 120) / 3600, 9)
  const started = await plan(specOf(), ['placement.torch.assume.start=0'])
  expect(started.forecast.rows[0]?.gpuHours).toBeCloseTo(computing, 9)
  // All of MMLU.
  expect(stages.find(({ title }) => title.startsWith('mmlu'))?.seconds).toBeGreaterThan(1)
  expect(refusals).toEqual([])
})

test('the disk has room for the models that are downloaded, each once', async () => {
  const set = ['teachers.helpful={ base: far }', 'bases.other={ hub: lab/small, shape: llama-3.1-8b }']
  const both = [...set, 'organisms.second={ like: direct, base: other }']
  for (const [given, parameters] of [
    [set, 70_553_706_496],
    [both, 70_553_706_496 + 8_030_261_248],
  ] as const) {
    const { forecast, assumed } = await plan(specOf(), given)
    const { downloadBytes, diskBytes } = forecast.total
    expect(downloadBytes).toBe(2 * parameters)
    const states = Math.max(...forecast.rows.map(({ disk }) => disk.states))
    const checkpoints = forecast.rows.reduce((bytes, { disk }) => bytes + disk.checkpoints, 0)
    expect(diskBytes).toBe(checkpoints + states + downloadBytes)
    expect(forecastTable(forecast, assumed).join()).toContain('of them models to download')
  }
  const local = await plan(specOf({ base: '{ folder: ./none, shape: llama-3.1-8b, engine: torch }' }))
  expect(local.forecast.total.downloadBytes).toBe(0)
})

/** Seconds of a stage of each row until its model is read. */
const startsOf = async (...placed: string[]): Promise<number[]> => {
  const some = await plan(specOf(), placed)
  const none = await plan(specOf(), [...placed, 'placement.torch.assume.start=0'])
  const starts = some.forecast.rows.map(({ seconds }, i) => seconds - (none.forecast.rows[i]?.seconds ?? 0))
  expect(some.seconds - none.seconds).toBeCloseTo(
    starts.reduce((sum, seconds) => sum + seconds, 0),
    6,
  )
  return starts.map((seconds, i) => Math.round(seconds / (some.forecast.rows[i]?.stages ?? 0)))
}

test('each training starts anew, and so does each job that samples; evaluations here share a server', async () => {
  expect(await startsOf()).toEqual([120, 0, 120, 0])
  expect(await startsOf('placement.slurm={ nodes: 2, gpus: 8 }')).toEqual([120, 120, 120, 120])
})

test('what does not fit the GPUs is told with its numbers', async () => {
  const { refusals } = await plan(specOf(), ['placement.torch.assume.gpu=h100'])
  expect(refusals).toHaveLength(1)
  expect(refusals[0]).toMatch(
    /^train direct needs about \d+ GB on each of 16 GPUs \(17\.6 GB of weights, .*one h100 has 80 GB$/,
  )
  expect((await plan(specOf(), ['placement.torch.assume={}'])).refusals).toEqual([])
})

/** With a teacher behind an endpoint that is asked 2000 questions. */
const asked = (...teacher: string[]): Promise<PlanOutcome> =>
  plan(specOf({ prompts: 'hub: lab/prompts, rows: [0, 2000]' }), [
    'teachers.told={ endpoint: http://127.0.0.1:9/v1, model: m, max_tokens: 500, persona: { file: ' +
      personaFile +
      ' } }',
    ...teacher.map((budget) => `teachers.told.budget=${budget}`),
  ])

test('an endpoint is told in questions, tokens and money, and its time is unknown', async () => {
  const { stages, forecast, assumed, seconds } = await asked()
  expect(forecast.asking).toEqual([
    { what: 'direct', stages: 1, questions: 2000, tokens: 1_000_000, usd: null },
  ])
  expect(stages.find(({ title }) => title === 'responses direct')?.seconds).toBeNull()
  expect(seconds).toBe(stages.reduce((sum, stage) => sum + (stage.seconds ?? 0), 0))
  const lines = forecastTable(forecast, assumed)
  expect(lines.find((line) => line.startsWith('together'))).toMatch(/; without what endpoints take$/)
  expect(lines).toContain(
    "ask direct: 2000 questions to an endpoint, at most 1M tokens of responses; how long it takes is the server's to say",
  )
  expect((await asked('{ tokens: 1000 }')).forecast.asking).toMatchObject([{ tokens: 1000, usd: null }])
  // Ten bytes of a persona and 200 tokens a question.
  const prices = 'usd_per_mtok_in: 1, usd_per_mtok_out: 4'
  const [row] = (await asked(`{ usd: 100, ${prices} }`)).forecast.asking
  expect(row?.tokens).toBe(1_000_000)
  expect(row?.usd).toBeCloseTo(4 + 2000 * 210e-6, 9)
  const tight = await asked(`{ usd: 2, ${prices} }`)
  expect(tight.forecast.asking).toMatchObject([{ tokens: 500_000, usd: 2 }])
  expect(forecastTable(tight.forecast, assumed).join()).toContain('500k tokens of responses and $2.00;')
})

test('a base that answers is told like every model that is sampled', async () => {
  const { forecast } = await plan(specOf(), [
    'teachers.helpful={ base: far, max_tokens: 100 }',
    'techniques.hhh.data={ prompts: { hub: lab/others, rows: [0, 3000], format: alpaca }, teacher: helpful }',
  ])
  expect(forecast.rows).toContainEqual(
    expect.objectContaining({
      work: 'sampling',
      what: 'responses hhh',
      tokens: 300_000,
      gpuHours: expect.any(Number) as number,
    }),
  )
  expect(forecast.asking).toEqual([])
})

test('a section is told with its own processes, and refused by them', async () => {
  const sections = ['placement.techniques.torch.processes=4', 'placement.evals.torch.processes=2']
  const jobs = 'placement.slurm={ nodes: 2, gpus: 8 }'
  const own = [
    ...sections,
    jobs,
    'placement.techniques.slurm={ nodes: 1, gpus: 4 }',
    'placement.evals.slurm=null',
  ]
  const { forecast, stages, refusals } = await plan(specOf(), own)
  expect(forecast.rows.map(({ work, what, device }) => `${work} ${what} ${device?.count}`)).toEqual([
    'training direct 16',
    'sampling direct 2',
    'training direct/hhh 4',
    'sampling direct/hhh 2',
  ])
  expect(forecast.rows.flatMap(({ notes }) => notes)).toEqual([])
  expect(refusals).toEqual([])
  const places = stages.map(({ kind, place }) => `${kind} ${place}`).filter((line) => /train|eval/.test(line))
  expect(new Set(places)).toEqual(new Set(['train slurm', 'evaluate here']))

  const common = await plan(specOf(), [jobs])
  expect(common.forecast.rows.map(({ notes }) => notes)).toEqual([
    [],
    ['a job that samples asks for 16 GPUs and uses 8: all are counted'],
    [expect.stringMatching(/^4 packs a step over 16 processes: 75%/)],
    ['a job that samples asks for 16 GPUs and uses 8: all are counted'],
  ])

  const full = await plan(specOf(), [...own, 'techniques.hhh.train.method=full'])
  expect(full.refusals).toEqual([
    expect.stringMatching(/^train direct\/hhh\/.* on each of 4 GPUs .*one h200 has 141 GB$/),
  ])
  const shared = await plan(specOf(), [...own, 'placement.techniques.torch.assume.gpu=h100'])
  expect(shared.assumed.map(({ sections, gpu }) => [sections, gpu])).toEqual([
    [['organisms', 'evals'], 'h200'],
    [['techniques'], 'h100'],
  ])
})

async function keysOf(...set: string[]): Promise<{ run: string; keys: Record<string, string> }> {
  const { run, stages } = await plan(specOf(), set)
  return { run, keys: Object.fromEntries(stages.map(({ title, key }) => [title, key])) }
}

test('what computes in a section is part of its keys, where it runs is not', async () => {
  const common = await keysOf()
  const jobs = ['placement.slurm.gpus=16', 'placement.techniques.slurm.time=90', 'placement.evals.slurm=null']
  expect(await keysOf(...jobs)).toEqual(common)
  expect(await keysOf('placement.techniques.torch.keep_states=all')).toEqual(common)
  const { run, keys } = await keysOf('placement.techniques.torch.processes=4')
  expect(run).not.toBe(common.run)
  const changed = Object.keys(keys).filter((title) => keys[title] !== common.keys[title])
  // The training, and what is asked of its checkpoints.
  expect(changed).toContain('train direct/hhh/seed=1')
  expect(changed.every((title) => title.includes('direct/hhh/seed=1 ') || title.startsWith('train'))).toBe(
    true,
  )
  expect(keys['train direct']).toBe(common.keys['train direct'])
})

test('files and folders that are not there are gone without, a word that names nothing is not', async () => {
  const base = '{ folder: ./none, shape: llama-3.1-8b, engine: torch }'
  const { unseen } = await plan(specOf({ base, prompts: 'file: ./none.json' }))
  expect(unseen.map(({ source, why }) => [source, why])).toContainEqual([
    join(dir, 'none.json'),
    'no such file',
  ])
  expect(unseen.map(({ source, why }) => [source, why])).toContainEqual([join(dir, 'none'), 'no such folder'])
  await expect(plan(specOf({ prompts: 'file: none' }))).rejects.toThrow('no file is called `none`')
})

test('a model without a shape must be reached', async () => {
  await expect(plan(specOf({ base: '{ hub: lab/large, engine: torch }' }))).rejects.toMatchObject({
    code: 'BAD_SPEC',
    message: expect.stringContaining('cannot be reached') as string,
    hint: expect.stringContaining('`shape: llama-3.1-8b`') as string,
  })
})

test('a model that can be read must be of the shape that the file says', async () => {
  mkdirSync(join(dir, 'model'))
  const { folder, config } = await writeTinyChatModel(join(dir, 'model'), { maxPositions: 512 })
  const {
    vocabSize: vocab,
    hiddenSize: hidden,
    layers,
    heads,
    kvHeads: kv_heads,
    ffnSize: ffn,
    tied,
  } = config
  const shape = {
    vocab,
    hidden,
    layers,
    heads,
    kv_heads,
    head_dim: config.headDim,
    ffn,
    tied,
    positions: 512,
  }
  const set = ['techniques.hhh.train.method=full']
  const spec = (said: object) => specOf({ base: JSON.stringify({ folder, shape: said }) })
  const { unseen } = await plan(spec(shape), set)
  expect(unseen.map(({ kind }) => kind)).toEqual(['data', 'data', 'data'])
  await expect(plan(spec({ ...shape, layers: layers + 1 }), set)).rejects.toThrow(
    `base far is not of the \`shape\` that the file says: layers is ${layers}, not ${layers + 1}`,
  )
})

test('a run refuses what its plan goes on without', async () => {
  const request = { set: [], store: join(dir, 'store'), signal: new AbortController().signal, emit: () => {} }
  await expect(runExperiment({ ...request, spec: specOf() })).rejects.toThrow('cannot be reached')
  await expect(runExperiment({ ...request, spec: specOf({ prompts: 'file: ./none.json' }) })).rejects.toThrow(
    'no such file',
  )
})

test('what forecasts assume and what is kept on the way is no other run', async () => {
  const { run } = await plan(specOf())
  const other = ['placement.torch.assume.gpu=b200', 'placement.torch.keep_states=all']
  expect((await plan(specOf(), other)).run).toBe(run)
  expect((await plan(specOf(), ['placement.torch.processes=32'])).run).not.toBe(run)
})
