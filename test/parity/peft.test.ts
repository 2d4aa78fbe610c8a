/** Adapters: `peft` and we open what the other wrote, bit for bit, compute the same with it, and train it alike. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loraTargets, readAdapter, writeAdapter, type LoraAdapter } from '../../src/model/peft.ts'
import { readSafetensors } from '../../src/model/safetensors.ts'
import { initialAdapters } from '../../src/engine/embedded/lora-trainable.ts'
import { openSampler } from '../../src/engine/embedded/sampler.ts'
import { createEmbeddedTrainer } from '../../src/engine/embedded/trainer.ts'
import type { LoraRecipe, Recipe } from '../../src/engine/engine.ts'
import { writePacks, type Pack } from '../../src/engine/packs.ts'
import { trainByteBpe, writeTokenizerFolder } from '../../src/model/bpe.ts'
import { chatSpecials } from '../../src/model/chat.ts'
import { type ModelConfig, parameterCount, parameterSpecs } from '../../src/model/config.ts'
import { writeModelFolder } from '../../src/model/folder.ts'
import { rng } from '../../src/rng.ts'
import { missingPython, reference } from './python.ts'
import { plainTexts } from './texts.ts'

const vocabSize = 300
const config: ModelConfig = {
  family: 'qwen2',
  vocabSize,
  hiddenSize: 96,
  layers: 3,
  heads: 6,
  kvHeads: 2,
  headDim: 16,
  ffnSize: 128,
  ropeTheta: 10_000,
  ropeScaling: null,
  qkvBias: true,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 128,
  bosId: null,
  eosIds: [],
  padId: 0,
}

/** Adapters that peft writes: names, dtypes and ways to say the targets. */
const theirs = {
  'r64, all-linear': { lora: { r: 64, lora_alpha: 128, target_modules: 'all-linear' }, dtype: 'float32' },
  'a regular expression': {
    lora: { r: 4, lora_alpha: 4, target_modules: '.*self_attn\\.(q|v)_proj', use_rslora: true },
    dtype: 'float32',
  },
  'some layers, bfloat16': {
    lora: { r: 8, lora_alpha: 3, target_modules: ['k_proj', 'down_proj'], layers_to_transform: [0, 2] },
    dtype: 'bfloat16',
  },
  'dropout, float16': {
    lora: { r: 2, lora_alpha: 4, lora_dropout: 0.1, target_modules: ['gate_proj', 'o_proj'] },
    dtype: 'float16',
  },
} as const
type Theirs = keyof typeof theirs
const names = Object.keys(theirs) as Theirs[]

const lora: LoraRecipe = { rank: 64, alpha: 128, targets: loraTargets }
const steps = 20
const T = 32
const optimizer = { lr: 2e-3, betas: [0.9, 0.95], eps: 1e-8, weight_decay: 0.1 }
const recipe: Recipe = {
  method: 'lora',
  lora,
  optimizer: 'adamw',
  lr: 2e-3,
  schedule: 'constant',
  warmup: 0,
  batch: 2,
  steps,
  weight_decay: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  clip: 1,
}

function randomModel(): Float32Array {
  const stream = rng(1, 'parity weights')
  const weights = new Float32Array(parameterCount(config))
  for (const { shape, offset, size } of parameterSpecs(config)) {
    for (let i = offset; i < offset + size; i++)
      weights[i] = 0.15 * stream.normal() + (shape.length === 1 ? 1 : 0)
  }
  return weights
}

const stream = rng(2, 'parity documents')
const randomIds = (length: number): number[] => Array.from({ length }, () => stream.int(vocabSize))
const prompts = [1, 2, 7, 16, 17, 33, 60].map(randomIds)

/** Documents of every step, two packs of two documents each; the second half of a document is scored. */
const documents = Array.from({ length: steps }, () =>
  [13, 19, 9, 22].map((length): [number[], number[]] => {
    const ids = randomIds(length + 1)
    return [ids.slice(0, length), ids.slice(1).map((id, i) => (i < length / 2 ? -1 : id))]
  }),
)

/** T values, padded. */
const fill = (values: readonly number[], padding: number): Int32Array =>
  Int32Array.from({ length: T }, (_, t) => values[t] ?? padding)

function packOf(pair: readonly [number[], number[]][]): Pack {
  return {
    tokens: fill(
      pair.flatMap(([tokens]) => tokens),
      0,
    ),
    documents: fill(
      pair.flatMap(([tokens], d) => tokens.map(() => d)),
      -1,
    ),
    targets: fill(
      pair.flatMap(([, targets]) => targets),
      -1,
    ),
  }
}

const folderName = (name: string): string => name.replaceAll(/\W+/g, '-')
const never = new AbortController().signal

/** Log-probabilities of every next token, with the adapter merged. */
async function logprobsHere(folder: string): Promise<(readonly number[])[]> {
  const sampler = await openSampler(folder)
  const choices = Array.from({ length: vocabSize }, (_, id) => [id])
  const scored = await sampler.choiceLogprobs(
    prompts.map((prompt, i) => ({ id: String(i), prompt, choices })),
    { signal: never },
  )
  await sampler.close()
  return scored.map(({ logprobs }) => logprobs)
}

const tensorsIn = async (folder: string) =>
  (await readSafetensors(join(folder, 'adapter_model.safetensors'))).tensors

describe.skipIf(missingPython() !== null)('peft', () => {
  let dir = ''
  let base = ''
  let seen: Awaited<ReturnType<typeof askPython>>
  const ours = (name: string): string => join(dir, `ours-${folderName(name)}`)
  const read = new Map<Theirs, LoraAdapter>()

  /** peft writes adapters; we write them again; peft opens those and writes them once more. */
  async function askPython() {
    await reference(
      names.map((name, seed) => ({
        do: 'make_adapter',
        base,
        folder: join(dir, folderName(name)),
        seed,
        ...theirs[name],
      })),
    )
    for (const name of names) {
      const adapter = await readAdapter(join(dir, folderName(name)), config)
      read.set(name, adapter)
      // What we write has no rslora: its scale is said by alpha.
      await writeAdapter(ours(name), { ...adapter, config, base, alpha: adapter.scale * adapter.rank })
    }
    const weights = initialAdapters(config, lora, 5)
    await writeAdapter(ours('start'), { config, base, ...lora, weights })
    const [a, b, c, d, resaved1, resaved2, resaved3, resaved4, training] = await reference([
      { do: 'adapter_logprobs', base, folder: join(dir, folderName(names[0]!)), prompts },
      { do: 'adapter_logprobs', base, folder: join(dir, folderName(names[1]!)), prompts },
      { do: 'adapter_logprobs', base, folder: join(dir, folderName(names[2]!)), prompts },
      { do: 'adapter_logprobs', base, folder: join(dir, folderName(names[3]!)), prompts },
      { do: 'resave_adapter', base, folder: ours(names[0]!), out: `${ours(names[0]!)}-again` },
      { do: 'resave_adapter', base, folder: ours(names[1]!), out: `${ours(names[1]!)}-again` },
      { do: 'resave_adapter', base, folder: ours(names[2]!), out: `${ours(names[2]!)}-again` },
      { do: 'resave_adapter', base, folder: ours(names[3]!), out: `${ours(names[3]!)}-again` },
      { do: 'train_adapter', base, folder: ours('start'), steps: documents, optimizer, clip: 1 },
    ])
    expect([resaved1, resaved2, resaved3, resaved4]).toEqual([null, null, null, null])
    return { logprobs: [a, b, c, d], training }
  }

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'parity-peft-'))
    base = join(dir, 'base')
    const tokenizerDir = join(dir, 'tokenizer')
    const bpe = trainByteBpe(plainTexts(7, 100), { vocabSize, specials: [...chatSpecials] })
    await writeTokenizerFolder(tokenizerDir, bpe, { modelMaxLength: 128 })
    await writeModelFolder(base, { config, weights: randomModel(), tokenizerDir })
    seen = await askPython()
  }, 240_000)
  afterAll(() => rm(dir, { recursive: true }))

  test.each(names)('%s: from peft to us and back, bit for bit', async (name) => {
    const original = await tensorsIn(join(dir, folderName(name)))
    expect(original.size).toBeGreaterThan(0)
    expect(await tensorsIn(ours(name))).toEqual(original)
    expect(await tensorsIn(`${ours(name)}-again`)).toEqual(original)
    // And what peft made of ours opens here as the same.
    const again = await readAdapter(`${ours(name)}-again`, config)
    expect(again.weights).toEqual(read.get(name)?.weights)
    expect(again.layers).toEqual(read.get(name)?.layers)
    expect(again.scale).toBeCloseTo(read.get(name)?.scale ?? 0, 12)
  })

  test.each(names)(
    '%s: merged here, beside the weights there, the same log-probabilities to 1e-4',
    async (name) => {
      const here = await logprobsHere(join(dir, folderName(name)))
      const there = seen.logprobs[names.indexOf(name)] as number[][]
      const plain = await logprobsHere(base)
      let worst = 0
      let moved = 0
      for (const [i, expected] of there.entries()) {
        for (const [id, x] of expected.entries()) {
          worst = Math.max(worst, Math.abs(x - (here[i]?.[id] ?? NaN)))
          moved = Math.max(moved, Math.abs(x - (plain[i]?.[id] ?? NaN)))
        }
      }
      expect(worst).toBeLessThan(1e-4)
      // The adapter does something.
      expect(moved).toBeGreaterThan(0.1)
    },
  )

  test('20 steps of AdamW on the same packs give the same losses to 1e-3', async () => {
    const packs = join(dir, 'packs.bin')
    await writePacks(
      packs,
      documents.flatMap((four) => [packOf(four.slice(0, 2)), packOf(four.slice(2))]),
      { contextLength: T },
    )
    const trainer = createEmbeddedTrainer()
    const losses: number[] = []
    const job = {
      start: { from: 'folder', folder: base, seed: 5 },
      packs,
      recipe,
      checkpoints: [],
      workDir: join(dir, 'work'),
      tokenizerDir: join(dir, 'tokenizer'),
    } as const
    for await (const event of trainer.train(job, { signal: never })) {
      if (event.type === 'step') losses.push(event.metrics.loss)
      if (event.type === 'start') expect(event.parameters).toBe(seen.training.parameters)
    }
    await trainer.close()
    expect(losses).toHaveLength(steps)
    const worst = Math.max(...losses.map((loss, i) => Math.abs(loss - (seen.training.losses[i] ?? NaN))))
    expect(worst).toBeLessThan(1e-3)
    // The adapters learned something: the comparison is of more than the first loss.
    expect(Math.abs((losses.at(-1) ?? 0) - (losses[0] ?? 0))).toBeGreaterThan(0.01)
  })
})
