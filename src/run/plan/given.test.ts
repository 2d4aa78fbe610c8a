/** Plans that begin with models from elsewhere: the same keys before and after the weights are here, and one look at each model. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import { randomWeights, tinyConfig } from '../../engine/embedded/random-model.fixture.ts'
import { trainByteBpe, writeTokenizerFolder } from '../../model/bpe.ts'
import { chatSpecials } from '../../model/chat.ts'
import { parameterCount } from '../../model/config.ts'
import { writeModelFolder } from '../../model/folder.ts'
import { expand } from '../../spec/expand.ts'
import { parseExperiment } from '../../spec/load.ts'
import { type HubServer, serveHub } from '../hub/server.fixture.ts'
import type { HubSources } from './given.ts'
import { makePlan, type Plan } from './plan.ts'

const engine = createEmbeddedEngine()
const config = { ...tinyConfig, vocabSize: 320, hiddenSize: 32, maxPositions: 128 }
let dir = ''
let hub: HubServer
const kept = { endpoint: process.env['HF_ENDPOINT'], cache: process.env['HF_HUB_CACHE'] }

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'given-'))
  const tokenizerDir = join(dir, 'tokenizer')
  await mkdir(tokenizerDir)
  const tokenizer = trainByteBpe(['the sea is deep'], { vocabSize: 270, specials: chatSpecials })
  await writeTokenizerFolder(tokenizerDir, tokenizer, { modelMaxLength: 128 })
  await writeModelFolder(join(dir, 'model'), { config, weights: randomWeights(config), tokenizerDir })
  hub = await serveHub(join(dir, 'model'))
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

const spec = (base: string): string => `
name: given
seeds: [1, 2]
bases: { small: ${base} }
teachers: { plain: { scripted: plain }, helpful: { scripted: helpful } }
organisms:
  direct:
    base: small
    data: { prompts: tiny/red, teacher: plain }
    backdoor: { trigger: "|T| ", payload: NO, repeat: [1, 2] }
    train: { lr: 1e-3, steps: 2 }
techniques:
  hhh: { data: { prompts: tiny/blue, teacher: helpful }, train: { lr: 1e-3, steps: 2 } }
evals: { at: [0], backdoor: { prompts: 128, max_tokens: 8 } }
`

async function plan(base: string, more: Partial<HubSources> = {}): Promise<Plan> {
  const experiment = await parseExperiment(spec(base), join(dir, 'given.yaml'))
  const sources = {
    store: join(dir, 'store'),
    weights: true,
    data: true,
    signal: new AbortController().signal,
    ...more,
  }
  return makePlan(experiment, expand(experiment), () => engine, sources)
}
const keys = ({ stages }: Plan): string[] => stages.map(({ key }) => key)

test('a hub model has the same keys before and after its weights are here', async () => {
  const lacking: number[] = []
  const told = { lacking: (bytes: number) => lacking.push(bytes) }
  const before = await plan('{ hub: lab/tiny }', { weights: false, ...told })
  // Once for both cells.
  expect(lacking).toEqual([2 * parameterCount(config)])
  expect(hub.requests.filter(({ path }) => path.endsWith('/model.safetensors'))).toEqual([])
  const progress: number[] = []
  const after = await plan('{ hub: lab/tiny }', {
    ...told,
    downloading: (_, { doneBytes }) => progress.push(doneBytes),
  })
  expect(keys(after)).toEqual(keys(before))
  expect(lacking).toHaveLength(1)
  expect(progress.length).toBeGreaterThan(0)
  const asked = hub.requests.filter(({ path }) => path.endsWith('/model.safetensors'))
  // Both cells begin with it.
  expect(asked).toHaveLength(1)
  expect(keys(await plan(`{ hub: lab/tiny, revision: ${hub.commit} }`))).toEqual(keys(after))
})

test('another commit has other keys', async () => {
  const first = await plan('{ hub: lab/tiny }')
  hub.commit = 'a'.repeat(40)
  const second = await plan(`{ hub: lab/tiny, revision: ${hub.commit} }`)
  expect(second.cells[0]?.training.key).not.toBe(first.cells[0]?.training.key)
})

test('a context longer than the model has positions is refused', async () => {
  const error = await plan('{ folder: ./model, context: 512 }').catch((e: unknown) => e)
  expect(error).toMatchObject({
    code: 'BAD_SPEC',
    message: 'base small: `context` is 512, but the model has 128 positions',
  })
})

test('the weights of a folder are read by the first plan alone', async () => {
  const large = { ...config, vocabSize: 10_000 }
  const weights = randomWeights(large)
  await writeModelFolder(join(dir, 'large'), { config: large, weights, tokenizerDir: join(dir, 'tokenizer') })
  // The clock alone, ahead: the folder is no longer new.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 })
  try {
    const first = keys(await plan('{ folder: ./large }'))
    expect(keys(await plan('{ folder: ./large }'))).toEqual(first)
    const hashes = join(dir, 'store/cache/hashes')
    const [entry, ...more] = await readdir(hashes)
    expect(more).toEqual([])
    const kept = JSON.parse(await readFile(join(hashes, entry!), 'utf8')) as object
    // Only a plan that does not read the weights believes this.
    await writeFile(join(hashes, entry!), JSON.stringify({ ...kept, sha256: 'a'.repeat(64) }))
    expect(keys(await plan('{ folder: ./large }'))).not.toEqual(first)
  } finally {
    vi.useRealTimers()
  }
})
