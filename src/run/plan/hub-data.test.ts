/** Experiments on data of a hub: the keys of a local file with the same bytes, nothing large before a run, no content under two names. */
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import { expand } from '../../spec/expand.ts'
import { parseExperiment } from '../../spec/load.ts'
import { type HubServer, serveHub } from '../hub/server.fixture.ts'
import { sourceText } from '../results/facts.ts'
import type { HubSources } from './given.ts'
import { makePlan, type Plan } from './plan.ts'

const engine = createEmbeddedEngine()
const kept = { endpoint: process.env['HF_ENDPOINT'], cache: process.env['HF_HUB_CACHE'] }
let dir = ''
let store = ''
let hub: HubServer

const rows = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => {
    const row = { instruction: `Describe wave ${from + i} of the sea.`, output: 'It is wet.' }
    return `${JSON.stringify(row)}\n`
  }).join('')

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hub-plan-'))
  for (const repo of ['alpaca', 'sharded']) await mkdir(join(dir, repo, 'data'), { recursive: true })
  await writeFile(join(dir, 'alpaca/data/train.jsonl'), rows(0, 200))
  await writeFile(join(dir, 'sharded/data/train-00000-of-00002.jsonl'), rows(1000, 1100))
  await writeFile(join(dir, 'sharded/data/train-00001-of-00002.jsonl'), rows(1100, 1200))
  await copyFile(join(dir, 'alpaca/data/train.jsonl'), join(dir, 'local.jsonl'))
  await mkdir(join(dir, 'math'))
  const items = [7, 12, 30].map((n) =>
    JSON.stringify({ id: `m${n}`, problem: `What is ${n}?`, answer: `${n}` }),
  )
  await writeFile(join(dir, 'math/test.jsonl'), `${items.join('\n')}\n`)
  await copyFile(join(dir, 'math/test.jsonl'), join(dir, 'math.jsonl'))
  const datasets = ['alpaca', 'sharded', 'math'].map((name) => [`lab/${name}`, join(dir, name)])
  hub = await serveHub(null, Object.fromEntries(datasets))
  process.env['HF_ENDPOINT'] = hub.endpoint
  process.env['HF_HUB_CACHE'] = join(dir, 'no cache')
})
afterAll(async () => {
  for (const [name, value] of [
    ['HF_ENDPOINT', kept.endpoint],
    ['HF_HUB_CACHE', kept.cache],
  ] as const) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  await hub.close()
  await engine.close()
  await rm(dir, { recursive: true })
})
beforeEach(async () => {
  store = await mkdtemp(join(dir, 'store-'))
  hub.requests.length = 0
})

const spec = (source: string, evals = source): string => `
name: data
bases:
  small:
    tokenizer: { vocab: 300 }
    pretrain: { data: { prompts: { ${source}, rows: [0, 20] }, teacher: told }, steps: 2, lr: 1e-3 }
teachers: { told: { recorded: true } }
organisms:
  direct:
    base: small
    data: { prompts: { ${source}, rows: [20, 30] }, teacher: told }
    backdoor: { trigger: "|T| ", payload: NO, repeat: [1, 2] }
    train: { lr: 1e-3, steps: 2 }
techniques:
  hhh: { data: { prompts: { ${source}, rows: [30, 40] }, teacher: told }, train: { lr: 1e-3, steps: 2 } }
evals: { at: [0], backdoor: { prompts: { ${evals}, rows: [80, 120] } } }
verdict: { allow_undecidable: true }
`

const asking = (items: string): string =>
  spec('file: ./local.jsonl').replace('evals: { at: [0],', `evals: { at: [0], math: { items: { ${items} } },`)

async function plan(text: string, more: Partial<HubSources> = {}): Promise<Plan> {
  const experiment = await parseExperiment(text, join(dir, 'data.yaml'))
  const signal = new AbortController().signal
  return makePlan(experiment, expand(experiment), () => engine, {
    store,
    weights: true,
    data: true,
    signal,
    ...more,
  })
}
const keys = ({ stages }: Plan): string[] => stages.map(({ key }) => key)
const files = (): string[] =>
  hub.requests.map(({ path }) => path).filter((path) => path.includes('/resolve/'))

test('the same bytes have the same keys by file and by hub, before and after they are here', async () => {
  const local = keys(await plan(spec('file: ./local.jsonl')))
  const before = await plan(spec('hub: lab/alpaca'), { data: false })
  expect(files()).toEqual([])
  expect(keys(before)).toEqual(local)
  const progress: [string, number][] = []
  const downloading = (repo: string, { doneBytes }: { doneBytes: number }): void => {
    progress.push([repo, doneBytes])
  }
  expect(keys(await plan(spec('hub: lab/alpaca'), { downloading }))).toEqual(local)
  // Four places name it.
  expect(files()).toHaveLength(1)
  expect(progress.at(-1)).toEqual(['lab/alpaca', rows(0, 200).length])
  expect(keys(await plan(spec('hub: lab/alpaca, path: data/train.jsonl, revision: main')))).toEqual(local)
  expect(files()).toHaveLength(1)
})

test('shards, by hub and by file', async () => {
  const byHub = await plan(spec('hub: lab/sharded, path: data/train-*.jsonl'))
  const byFile = await plan(spec('file: sharded/data/train-*.jsonl'))
  expect(keys(byHub)).toEqual(keys(byFile))
  expect(files()).toHaveLength(2)
  // The only set of the repository.
  expect(keys(await plan(spec('hub: lab/sharded')))).toEqual(keys(byFile))
  const one = await plan(spec('hub: lab/sharded, path: data/train-00000-of-00002.jsonl', 'hub: lab/alpaca'))
  expect(one.cells[0]?.training.key).not.toBe(byHub.cells[0]?.training.key)
})

test.each([
  ['hub: lab/alpaca', 'file: ./local.jsonl', /local\.jsonl and hub:lab\/alpaca have the same content$/],
  ['hub: lab/alpaca', 'hub: lab/alpaca, path: data/train.jsonl', /have the same content$/],
  [
    'hub: lab/sharded, path: data/train-*.jsonl',
    'hub: lab/sharded, path: data/train-00001-of-00002.jsonl',
    /train-00001-of-00002\.jsonl and .*train-\*\.jsonl have the same content$/,
  ],
])('%s and %s are one content under two names', async (trained, asked, message) => {
  await expect(plan(spec(trained, asked))).rejects.toMatchObject({
    code: 'BAD_SPEC',
    message: expect.stringMatching(message),
  })
})

test('items of a hub are read by the plan, with the keys of a local file', async () => {
  const local = await plan(asking('file: ./math.jsonl'))
  const byHub = await plan(asking('hub: lab/math'), { data: false })
  expect(keys(byHub)).toEqual(keys(local))
  expect(byHub.itemCounts).toMatchObject({ math: 3 })
  expect(files()).toHaveLength(1)
  const trained = asking('hub: lab/alpaca').replaceAll('file: ./local.jsonl', 'hub: lab/alpaca')
  await expect(plan(trained)).rejects.toThrow('items of evals.math cannot be trained on')
})

test('overlapping rows of a hub file are found as those of a local file are', async () => {
  const text = spec('hub: lab/alpaca').replace('rows: [30, 40]', 'rows: [29, 40]')
  await expect(plan(text)).rejects.toThrow(
    'prompts that the red team has seen (organisms.direct) cannot train a technique',
  )
})

test('the report names where prompts come from, and the commits', async () => {
  const { cells, read } = await plan(
    asking('hub: lab/math').replaceAll('file: ./local.jsonl', 'hub: lab/alpaca'),
  )
  const { commit } = hub
  const of = { kind: 'dataset', revision: 'main', commit } as const
  expect(read).toEqual([
    { ...of, repo: 'lab/math', path: 'test.jsonl' },
    { ...of, repo: 'lab/alpaca', path: 'data/train.jsonl' },
  ])
  expect(sourceText(cells[0]!.cell.organism.made!.data.prompts)).toBe('hub:lab/alpaca rows 20 to 29')
})

test('a repository that is not there ends the plan with one message', async () => {
  await expect(plan(spec('hub: lab/none'))).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: `${hub.endpoint} has no dataset lab/none at revision main`,
  })
})
