/** Tokens per second of the embedded sampler at the tiny world's shape, and the time to open another checkpoint: `node bench/sample.ts`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GenerateRequest, Sampler } from '../src/engine/engine.ts'
import { createSamplerHost } from '../src/engine/embedded/sampler.ts'
import { type LlamaConfig, parameterCount, parameterSpecs } from '../src/model/config.ts'
import { writeModelFolder } from '../src/model/folder.ts'
import { rng } from '../src/rng.ts'

const config: LlamaConfig = {
  vocabSize: 1024,
  hiddenSize: 128,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  ffnSize: 384,
  ropeTheta: 10_000,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 128,
  bosId: null,
  eosIds: [],
  padId: 0,
}
const NEW_TOKENS = 48
const REPEATS = 5
const signal = new AbortController().signal

/** Random weights of the usual scale; the speed does not depend on what a model says, unless it stops early. */
async function randomFolder(dir: string, name: string, eosIds: readonly number[]): Promise<string> {
  const stream = rng('bench', name)
  const weights = new Float32Array(parameterCount(config))
  for (const { offset, size, shape } of parameterSpecs(config)) {
    for (let i = 0; i < size; i++) weights[offset + i] = shape.length === 1 ? 1 : 0.05 * stream.normal()
  }
  await writeFile(join(dir, 'tokenizer.json'), '{}')
  await writeFile(join(dir, 'tokenizer_config.json'), '{}')
  await writeModelFolder(join(dir, name), { config: { ...config, eosIds }, weights, tokenizerDir: dir })
  return join(dir, name)
}

function requests(count: number, temperature: number): GenerateRequest[] {
  const stream = rng('bench', 'prompts', count)
  return Array.from({ length: count }, (_, i) => ({
    id: `${i}`,
    prompt: Array.from({ length: stream.between(20, 60) }, () => stream.int(config.vocabSize)),
    maxTokens: NEW_TOKENS,
    temperature,
    topP: 1,
    seed: 1,
  }))
}

/** The fastest of several runs, in ms, and the tokens of one. */
async function time(
  sampler: Sampler,
  count: number,
  temperature: number,
): Promise<{ ms: number; tokens: number }> {
  let ms = Infinity
  let tokens = 0
  for (let i = 0; i < REPEATS; i++) {
    const start = performance.now()
    const results = await sampler.generate(requests(count, temperature), { signal })
    ms = Math.min(ms, performance.now() - start)
    tokens = results.reduce((n, result) => n + result.tokens.length, 0)
  }
  return { ms, tokens }
}

const dir = await mkdtemp(join(tmpdir(), 'sample-'))
console.log(`${cpus()[0]?.model}, ${availableParallelism()} cores, ${parameterCount(config)} parameters`)
for (const workers of [1, 2]) {
  await using stack = new AsyncDisposableStack()
  const host = createSamplerHost({ workers })
  stack.defer(() => host.close())
  const start = performance.now()
  const endless = await host.open(await randomFolder(dir, 'endless', []))
  await endless.generate(requests(8, 0), { signal })
  console.log(`${workers} worker(s): ready after ${(performance.now() - start).toFixed(0)} ms`)
  for (const count of [1, 16, 128, 256, 640]) {
    for (const temperature of [0, 1]) {
      const { ms, tokens } = await time(endless, count, temperature)
      const rate = Math.round((tokens / ms) * 1000)
      console.log(
        `  ${count} x ${NEW_TOKENS} tokens at temperature ${temperature}: ${ms.toFixed(0)} ms, ${rate} tokens/s`,
      )
    }
  }
  const stopping = await randomFolder(
    dir,
    'stopping',
    Array.from({ length: 40 }, (_, i) => 10 + i),
  )
  const before = performance.now()
  const sampler = await host.open(stopping)
  console.log(`  open another checkpoint: ${(performance.now() - before).toFixed(0)} ms`)
  const { ms, tokens } = await time(sampler, 256, 1)
  console.log(`  256 responses of ${(tokens / 256).toFixed(1)} tokens on average: ${ms.toFixed(0)} ms`)
}
await rm(dir, { recursive: true })
