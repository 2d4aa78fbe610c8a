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
  expect(red?.gpuHours).toBeCloseTo((red?.flops ?? 0) / (0.4 * 989e12) / 3600, 9)
  // All of MMLU.
  expect(stages.find(({ title }) => title.startsWith('mmlu'))?.seconds).toBeGreaterThan(1)
  expect(refusals).toEqual([])
})

test('what does not fit the GPUs is told with its numbers', async () => {
  const { refusals } = await plan(specOf(), ['placement.torch.assume.gpu=h100'])
  expect(refusals).toHaveLength(1)
  expect(refusals[0]).toMatch(
    /^train direct needs about \d+ GB on each of 16 GPUs \(17\.6 GB of weights, .*one h100 has 80 GB$/,
  )
  expect((await plan(specOf(), ['placement.torch.assume={}'])).refusals).toEqual([])
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
    ['a job that samples asks for 16 GPUs and uses 8'],
    [expect.stringMatching(/^4 packs a step over 16 processes: 75%/)],
    ['a job that samples asks for 16 GPUs and uses 8'],
  ])

  const full = await plan(specOf(), [...own, 'techniques.hhh.train.method=full'])
  expect(full.refusals).toEqual([
    expect.stringMatching(/^train direct\/hhh\/.* on each of 4 GPUs .*one h200 has 141 GB$/),
  ])
  const shared = await plan(specOf(), [...own, 'placement.techniques.torch.assume.gpu=h100'])
  expect(shared.assumed.map((one) => [one.sections, one.device === 'cuda' && one.gpu])).toEqual([
    [['organisms', 'evals'], 'h200'],
    [['techniques'], 'h100'],
  ])
})

test('on a CPU nothing is said of GPUs', async () => {
  const set = ['placement.torch={ device: cpu, processes: 3 }', 'techniques.hhh.train.batch=4']
  const { forecast, assumed } = await plan(specOf(), set)
  const lines = forecastTable(forecast, assumed)
  expect(lines.join('\n')).not.toMatch(/GPU|h100|peak/)
  expect(lines.at(-1)).toBe(
    'assumed, not measured: 100 GFLOP/s a machine, starts of processes not counted; prompts of 200 tokens, responses as long as they may be',
  )
  expect(lines).toContainEqual(
    expect.stringContaining("over 3 processes: 33% of the processes' time is spent without a pack"),
  )
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
