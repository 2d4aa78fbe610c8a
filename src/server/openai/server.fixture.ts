/** A real server over a tiny model of random weights and a real byte-level tokenizer, for tests. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { createCores } from '../../engine/embedded/cores.ts'
import { randomWeights, tinyConfig } from '../../engine/embedded/random-model.fixture.ts'
import { createSamplerHost } from '../../engine/embedded/sampler.ts'
import type { Sampler } from '../../engine/engine.ts'
import { trainByteBpe, writeTokenizerFolder } from '../../model/bpe.ts'
import { chatSpecials } from '../../model/chat.ts'
import type { ModelConfig } from '../../model/config.ts'
import { writeModelFolder } from '../../model/folder.ts'
import { openTokenizer, type Tokenizer } from '../../model/tokenizer.ts'
import { startOpenaiServer, type OpenaiServer } from './server.ts'

const corpus = ['Call me Ishmael. The sea, the sea! Some years ago the sea was calm. 😀 Ça va? Ça va.']

export interface TestServer {
  readonly dir: string
  /** Of the model. */
  readonly folder: string
  readonly config: ModelConfig
  readonly server: OpenaiServer
  readonly sampler: Sampler
  readonly tokenizer: Tokenizer
  /** The official client, which does not repeat what failed. */
  readonly client: OpenAI
  /** Lines for the person who runs the server. */
  readonly notes: readonly string[]
  close(): Promise<void>
}

export interface TinyChatModel {
  /** Default 512. */
  readonly maxPositions?: number
  /** Whether it ever ends a turn. Default true. */
  readonly ends?: boolean
}

/** Writes the model `tiny` into `dir`: every byte is one of its tokens, and `<|end|>` ends a turn. */
export async function writeTinyChatModel(
  dir: string,
  { maxPositions = 512, ends = true }: TinyChatModel = {},
): Promise<{ folder: string; config: ModelConfig }> {
  const tokenizerDir = join(dir, 'tokenizer')
  const trained = trainByteBpe(corpus, { vocabSize: 300, specials: [...chatSpecials] })
  await writeTokenizerFolder(tokenizerDir, trained, { modelMaxLength: maxPositions })
  const { vocabSize } = await openTokenizer(tokenizerDir)
  const config = { ...tinyConfig, vocabSize, maxPositions, eosIds: ends ? [4] : [] }
  const folder = join(dir, 'tiny')
  await writeModelFolder(folder, { config, weights: randomWeights(config), tokenizerDir })
  return { folder, config }
}

export async function startTestServer(options: TinyChatModel = {}): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'server-'))
  const { folder, config } = await writeTinyChatModel(dir, options)
  const tokenizer = await openTokenizer(folder)
  const host = createSamplerHost(createCores(2))
  const sampler = await host.open(folder)
  const notes: string[] = []
  const server = await startOpenaiServer({
    model: { name: 'tiny', config, tokenizer, sampler },
    host: '127.0.0.1',
    port: 0,
    note: (line) => notes.push(line),
  })
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
  return {
    dir,
    folder,
    config,
    server,
    sampler,
    tokenizer,
    client,
    notes,
    close: async () => {
      await server.close()
      await host.close()
      await rm(dir, { recursive: true })
    },
  }
}
