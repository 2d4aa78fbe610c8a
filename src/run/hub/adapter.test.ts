/** Adapters of a hub: with the model that they lie on they are one folder, before and after the weights are here. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { randomWeights, tinyConfig } from '../../engine/embedded/random-model.fixture.ts'
import { trainByteBpe, writeTokenizerFolder } from '../../model/bpe.ts'
import { chatSpecials } from '../../model/chat.ts'
import { writeModelFolder } from '../../model/folder.ts'
import { openModelFolder } from '../../model/open.ts'
import { loraCount, writeAdapter } from '../../model/peft.ts'
import { partsOf } from '../../model/weights-of.ts'
import { openHubModel } from './adapter.ts'
import { hubSettings } from './client.ts'
import { type HubServer, serveHub } from './server.fixture.ts'

const config = { ...tinyConfig, vocabSize: 320, hiddenSize: 32 }
const shape = { rank: 4, targets: ['q_proj', 'v_proj'] } as const
let dir = ''
let hub: HubServer

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hub-adapter-'))
  const tokenizerDir = join(dir, 'tokenizer')
  await mkdir(tokenizerDir)
  const tokenizer = trainByteBpe(['the sea is deep'], { vocabSize: 270, specials: chatSpecials })
  await writeTokenizerFolder(tokenizerDir, tokenizer, { modelMaxLength: 40 })
  await writeModelFolder(join(dir, 'model'), { config, weights: randomWeights(config), tokenizerDir })
  const weights = Float32Array.from({ length: loraCount(config, shape) }, (_, i) => Math.sin(i))
  for (const [name, base] of [
    ['adapter', 'lab/tiny'],
    ['lost', '/home/somebody/model'],
  ] as const) {
    await writeAdapter(join(dir, name), { ...shape, alpha: 8, base, weights, config })
  }
  hub = await serveHub(
    join(dir, 'model'),
    {},
    { 'lab/adapter': join(dir, 'adapter'), 'lab/lost': join(dir, 'lost') },
  )
})
afterAll(async () => {
  await hub.close()
  await rm(dir, { recursive: true })
})

const open = (repo: string, root: string, weights: boolean) =>
  openHubModel(
    { kind: 'model', repo, revision: 'main' },
    { weights },
    {
      root: join(dir, root),
      settings: { ...hubSettings({ HF_ENDPOINT: hub.endpoint }), retryMs: 1 },
      env: { HF_HUB_CACHE: join(dir, 'nothing') },
      signal: new AbortController().signal,
    },
  )

test('an adapter lies on its model, and a plan does without the weights of both', async () => {
  const planned = await open('lab/adapter', 'store', false)
  expect(hub.requests.filter(({ path }) => path.endsWith('.safetensors') && path.includes('tiny'))).toEqual(
    [],
  )
  expect((await openModelFolder(planned.folder, { weights: false })).config).toEqual(config)

  const whole = await open('lab/adapter', 'store', true)
  expect(whole).toMatchObject({ folder: planned.folder, hash: planned.hash, complete: true })
  const { base, adapters } = await partsOf(whole.folder)
  expect(adapters).toEqual([whole.folder])
  expect(await readFile(join(base, 'model.safetensors'))).toEqual(
    await readFile(join(dir, 'model', 'model.safetensors')),
  )
  expect((await openModelFolder(whole.folder)).config).toEqual(config)
  const of = { kind: 'model', revision: 'main', commit: hub.commit, path: null } as const
  expect(whole.read).toEqual([
    { ...of, repo: 'lab/adapter' },
    { ...of, repo: 'lab/tiny' },
  ])
  expect((await open('lab/adapter', 'elsewhere', true)).hash).toBe(whole.hash)
})

test('a model is no adapter', async () => {
  const { folder } = await open('lab/tiny', 'store', true)
  expect(await partsOf(folder)).toMatchObject({ base: folder, adapters: [] })
})

test('an adapter that lies on a path of somebody else is refused', async () => {
  await expect(open('lab/lost', 'store', true)).rejects.toMatchObject({
    code: 'BAD_MODEL',
    message: 'lab/lost lies on "/home/somebody/model", which is no model of a hub',
  })
})

test('an adapter without safetensors is refused', async () => {
  const bare = join(dir, 'bare')
  await mkdir(bare)
  await writeFile(
    join(bare, 'adapter_config.json'),
    await readFile(join(dir, 'adapter', 'adapter_config.json')),
  )
  const server = await serveHub(null, {}, { 'lab/bare': bare })
  const settings = { ...hubSettings({ HF_ENDPOINT: server.endpoint }), retryMs: 1 }
  const context = { root: join(dir, 'bare store'), settings, env: {}, signal: new AbortController().signal }
  const opened = openHubModel(
    { kind: 'model', repo: 'lab/bare', revision: 'main' },
    { weights: false },
    context,
  )
  await expect(opened).rejects.toThrow('the adapter has no adapter_model.safetensors')
  await server.close()
})
