/** Model folders: written and read back exactly, every key variant of config.json, and damaged folders each refused with one message. */
import { execFileSync } from 'node:child_process'
import {
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rng } from '../rng.ts'
import { configFromJson, configJsonSchema, configToJson } from './config-json.ts'
import { type ModelConfig, parameterCount, parameterSpecs } from './config.ts'
import { checkWeights, readConfig, readWeights, writeModelFolder } from './folder.ts'
import { type NamedTensor, readSafetensors, writeSafetensors } from './safetensors.ts'

const config: ModelConfig = {
  family: 'llama',
  vocabSize: 11,
  hiddenSize: 8,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 2,
  ffnSize: 6,
  ropeTheta: 10_000,
  ropeScaling: null,
  qkvBias: false,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 32,
  bosId: null,
  eosIds: [4],
  padId: 0,
}
const untied: ModelConfig = {
  ...config,
  tied: false,
  headDim: 4,
  ropeTheta: 500_000,
  rmsEps: 1e-6,
  eosIds: [4, 5],
  bosId: 1,
  padId: null,
}

const stretched: ModelConfig = {
  ...untied,
  ropeScaling: {
    type: 'llama3',
    factor: 8,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositions: 16,
  },
}
const qwen2: ModelConfig = { ...config, family: 'qwen2', qkvBias: true }
const qwen3: ModelConfig = { ...untied, family: 'qwen3', qkNorm: true }

let dir = ''
let tokenizerDir = ''
let made = 0

function randomWeights(of: ModelConfig): Float32Array {
  const stream = rng('folder.test', parameterCount(of))
  return Float32Array.from({ length: parameterCount(of) }, () => stream.normal())
}

function named(of: ModelConfig, weights: Float32Array): NamedTensor[] {
  return parameterSpecs(of).map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: weights.subarray(offset, offset + size),
  }))
}

/** A fresh good folder. */
async function goodFolder(of: ModelConfig = config): Promise<string> {
  const folder = join(dir, `model-${made++}`)
  await writeModelFolder(folder, { config: of, weights: randomWeights(of), tokenizerDir })
  return folder
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'folder-'))
  tokenizerDir = join(dir, 'tokenizer')
  await mkdir(tokenizerDir)
  await writeFile(join(tokenizerDir, 'tokenizer.json'), '{"stands": "for a tokenizer"}')
  await writeFile(join(tokenizerDir, 'tokenizer_config.json'), '{}')
})
afterAll(() => rm(dir, { recursive: true }))

test.each([
  ['tied', config],
  ['untied', untied],
  ['Llama 3', stretched],
  ['Qwen2', qwen2],
  ['Qwen3', qwen3],
])('a %s model is read back as it was written', async (_, of) => {
  const folder = await goodFolder(of)
  expect(await readConfig(folder)).toEqual(of)
  expect(await readWeights(folder, of)).toEqual(randomWeights(of))
  expect(await readFile(join(folder, 'tokenizer.json'), 'utf8')).toBe('{"stands": "for a tokenizer"}')
})

test('tokens that end a response are those of both files, and are written to both', async () => {
  const folder = await goodFolder(qwen2)
  await writeFile(join(folder, 'generation_config.json'), '{"eos_token_id": [7, 4], "temperature": 0.7}')
  const both = { ...qwen2, eosIds: [4, 7] }
  expect(await readConfig(folder)).toEqual(both)
  const copy = await goodFolder(both)
  for (const name of ['config.json', 'generation_config.json'])
    expect(JSON.parse(await readFile(join(copy, name), 'utf8'))).toMatchObject({ eos_token_id: [4, 7] })
})

test('the same model gives the same bytes', async () => {
  const [a, b] = [await goodFolder(untied), await goodFolder(untied)]
  for (const name of [
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ]) {
    expect(await readFile(join(a, name)), name).toEqual(await readFile(join(b, name)))
  }
})

test('shards named by an index are read, in any order', async () => {
  const folder = await goodFolder(untied)
  const weights = randomWeights(untied)
  const tensors = named(untied, weights).toReversed()
  const shards = {
    'model-00001-of-00002.safetensors': tensors.slice(0, 9),
    'model-00002-of-00002.safetensors': tensors.slice(9),
  }
  const weightMap: Record<string, string> = {}
  for (const [file, list] of Object.entries(shards)) {
    await writeSafetensors(join(folder, file), list)
    for (const { name } of list) weightMap[name] = file
  }
  await rm(join(folder, 'model.safetensors'))
  await writeFile(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map: weightMap }),
  )
  expect(await readWeights(folder, untied)).toEqual(weights)
})

test('a tied model may carry its head, and old rotary buffers are ignored', async () => {
  const folder = await goodFolder()
  const weights = randomWeights(config)
  const tensors = named(config, weights)
  await writeSafetensors(join(folder, 'model.safetensors'), [
    ...tensors,
    { ...tensors[0]!, name: 'lm_head.weight' },
    { name: 'model.layers.0.self_attn.rotary_emb.inv_freq', shape: [1], data: Float32Array.of(1) },
  ])
  expect(await readWeights(folder, config)).toEqual(weights)
})

const parse = (json: unknown): ModelConfig => configFromJson('config.json', configJsonSchema.parse(json))

test('old and new keys of config.json mean the same', () => {
  const {
    rope_theta: _theta,
    rope_scaling: _scaling,
    torch_dtype: _dtype,
    head_dim: _dim,
    ...rest
  } = configToJson(config)
  const modern = {
    ...rest,
    dtype: 'bfloat16',
    rope_parameters: { rope_theta: 500_000, rope_type: 'default' },
  }
  const legacy = { ...rest, torch_dtype: 'bfloat16', rope_theta: 500_000.0, rope_scaling: null }
  expect(parse(modern)).toEqual({ ...config, ropeTheta: 500_000 })
  expect(parse(legacy)).toEqual(parse(modern))
  expect(parse({ ...rest, eos_token_id: [4, 7], pad_token_id: -1 })).toMatchObject({
    eosIds: [4, 7],
    padId: null,
  })
  expect(parse({ ...rest, eos_token_id: null })).toMatchObject({ eosIds: [] })
  const { num_key_value_heads: _kv, rms_norm_eps: _eps, tie_word_embeddings: _tie, ...bare } = rest
  expect(parse(bare)).toMatchObject({ kvHeads: 4, rmsEps: 1e-6, tied: false, ropeTheta: 10_000 })
})

test('keys that are absent mean what they mean in each family', () => {
  const bare = {
    vocab_size: 64,
    hidden_size: 64,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 32,
  }
  const common = { ropeTheta: 10_000, ropeScaling: null, tied: false, rmsEps: 1e-6, padId: null }
  expect(parse({ ...bare, model_type: 'llama' })).toMatchObject({
    ...common,
    headDim: 2,
    kvHeads: 32,
    maxPositions: 2048,
    bosId: 1,
    eosIds: [2],
    qkvBias: false,
    qkNorm: false,
  })
  expect(parse({ ...bare, model_type: 'qwen2', sliding_window: 4096 })).toMatchObject({
    ...common,
    headDim: 2,
    kvHeads: 32,
    maxPositions: 32_768,
    bosId: null,
    eosIds: [],
    qkvBias: true,
  })
  expect(parse({ ...bare, model_type: 'qwen3', use_sliding_window: false })).toMatchObject({
    ...common,
    headDim: 128,
    kvHeads: 32,
    maxPositions: 32_768,
    bosId: null,
    qkvBias: false,
    qkNorm: true,
  })
})

test('llama3 scaling in old keys, in new keys and with its context outside means the same', () => {
  const { rope_theta: theta, rope_scaling: scaling, ...rest } = configToJson(stretched)
  const { original_max_position_embeddings: original, ...parameters } = scaling as Record<string, unknown>
  const written = [
    { ...rest, rope_theta: theta, rope_scaling: scaling },
    { ...rest, rope_parameters: { rope_theta: theta, ...(scaling as object) } },
    { ...rest, rope_theta: theta, rope_parameters: parameters, original_max_position_embeddings: original },
  ]
  for (const json of written) expect(parse(json)).toEqual(stretched)
  const inherited = { ...rest, rope_theta: theta, rope_scaling: parameters }
  expect(parse(inherited).ropeScaling).toMatchObject({ originalMaxPositions: stretched.maxPositions })
})

/** Rewrites one key of config.json. */
const setKey =
  (key: string, value: unknown) =>
  async (folder: string): Promise<void> => {
    const file = join(folder, 'config.json')
    const json: unknown = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...(json as object), [key]: value }))
  }

/** Rewrites the list of tensors. */
const setTensors =
  (change: (tensors: NamedTensor[]) => NamedTensor[]) =>
  async (folder: string): Promise<void> => {
    const file = join(folder, 'model.safetensors')
    const { tensors } = await readSafetensors(file)
    await writeSafetensors(file, change([...tensors].map(([name, tensor]) => ({ name, ...tensor }))))
  }

const index = (map: unknown) => async (folder: string) => {
  await rename(join(folder, 'model.safetensors'), join(folder, 'shard.safetensors'))
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }))
}

const damage: [string, (folder: string) => Promise<void>, string][] = [
  ['an empty folder', (f) => rm(f, { recursive: true }), 'config.json: no such file'],
  [
    'a config that is not JSON',
    (f) => writeFile(join(f, 'config.json'), '{"a": 1,}'),
    'config.json: is not JSON',
  ],
  ['a config without a size', setKey('hidden_size', undefined), 'config.json: "hidden_size": Invalid input'],
  ['a config with a text for a number', setKey('vocab_size', '11'), '"vocab_size": Invalid input: expected'],
  ['another architecture', setKey('model_type', 'gpt2'), 'config.json: model_type "gpt2" is not supported'],
  ['attention bias', setKey('attention_bias', true), 'config.json: attention_bias is not supported'],
  ['another activation', setKey('hidden_act', 'gelu'), 'config.json: hidden_act "gelu" is not supported'],
  [
    'scaled rope',
    setKey('rope_scaling', { rope_type: 'llama3', factor: 8 }),
    'rope scaling "llama3" needs "low_freq_factor"',
  ],
  [
    'scaled rope in new keys',
    setKey('rope_parameters', { rope_type: 'yarn' }),
    'rope scaling "yarn" is not supported',
  ],
  [
    'scaled rope whose bounds cross',
    setKey('rope_scaling', { rope_type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 4 }),
    '"high_freq_factor" 4 is not above "low_freq_factor" 4',
  ],
  [
    'a rope of its own for each layer type',
    setKey('rope_parameters', { full_attention: { rope_theta: 10_000 } }),
    'a rope of its own for each layer type is not supported',
  ],
  ['quantised weights', setKey('quantization_config', { bits: 4 }), 'quantization_config is not supported'],
  ['an odd head', setKey('head_dim', 3), 'head_dim 3 is odd'],
  [
    'heads that do not divide',
    setKey('num_key_value_heads', 3),
    'num_attention_heads 4 is not a multiple of num_key_value_heads 3',
  ],
  [
    'more layers than tensors',
    setKey('num_hidden_layers', 3),
    '"model.layers.2.input_layernorm.weight" is missing from the weights',
  ],
  [
    'fewer layers than tensors',
    setKey('num_hidden_layers', 1),
    '"model.layers.1.input_layernorm.weight" has no place',
  ],
  ['an absurd vocabulary', setKey('vocab_size', 2e9), 'has shape [11, 8], config.json says [2000000000, 8]'],
  [
    'another width',
    setKey('intermediate_size', 7),
    'mlp.gate_proj.weight" has shape [6, 8], config.json says [7, 8]',
  ],
  [
    'an untied head that is missing',
    setKey('tie_word_embeddings', false),
    'tensor "lm_head.weight" is missing',
  ],
  [
    'no weights',
    (f) => rm(join(f, 'model.safetensors')),
    'has neither model.safetensors nor model.safetensors.index.json',
  ],
  ['cut weights', (f) => truncate(join(f, 'model.safetensors'), 2500), 'it is cut short'],
  [
    'weights of another format',
    (f) => copyFile(join(f, 'config.json'), join(f, 'model.safetensors')),
    'it is not a safetensors file',
  ],
  ['a missing tensor', setTensors((all) => all.slice(1)), 'tensor "model.embed_tokens.weight" is missing'],
  [
    'a tied head that is not the embedding',
    setTensors((all) => [...all, { name: 'lm_head.weight', shape: [11, 8], data: new Float32Array(88) }]),
    'lm_head.weight is not the embedding',
  ],
  [
    'a weight that is not a number',
    setTensors((all) => all.map((t, i) => (i === 1 ? { ...t, data: t.data.with(3, NaN) } : t))),
    'tensor "model.layers.0.input_layernorm.weight" holds NaN at element 3',
  ],
  [
    'an infinite weight',
    setTensors((all) => all.map((t, i) => (i === 0 ? { ...t, data: t.data.with(87, -Infinity) } : t))),
    'tensor "model.embed_tokens.weight" holds -Infinity at element 87',
  ],
  [
    'weights that are a link to themselves',
    async (f) => {
      await rm(join(f, 'model.safetensors'))
      await symlink('model.safetensors', join(f, 'model.safetensors'))
    },
    'has neither model.safetensors nor model.safetensors.index.json',
  ],
  [
    'a shard that is the index',
    index({ a: 'model.safetensors.index.json' }),
    'model.safetensors.index.json: declares a header of',
  ],
  ['a config of megabytes', (f) => truncate(join(f, 'config.json'), 5e6), 'has 5000000 bytes, at most'],
  [
    'a pipe for a config',
    async (f) => {
      await rm(join(f, 'config.json'))
      execFileSync('mkfifo', [join(f, 'config.json')])
    },
    'config.json: is not a file',
  ],
  ['a missing shard', index({ a: 'other.safetensors' }), 'other.safetensors: no such file'],
  [
    'a shard outside the folder',
    index({ a: '../shard.safetensors' }),
    'shard "../shard.safetensors" is not a file name',
  ],
  [
    'an index that is wrong',
    index({ a: 'shard.safetensors' }),
    'has no tensor "a", which the index says it holds',
  ],
]

test.each(damage)('%s is refused', async (_, spoil, message) => {
  const folder = await goodFolder()
  await spoil(folder)
  const error = await readConfig(folder)
    .then((of) => readWeights(folder, of))
    .catch((e: unknown) => e)
  expect(error).toMatchObject({
    name: 'LabError',
    code: 'BAD_MODEL',
    message: expect.stringContaining(message),
  })
  const text = (error as Error).message
  expect(text.startsWith(folder)).toBe(true)
  expect(text.split('\n')).toHaveLength(1)
})

test('a tied head that is not the embedding is refused before the weights are read', async () => {
  const folder = await goodFolder()
  const tensors = named(config, randomWeights(config))
  const embedding = tensors[0]!
  const carry = (data: Float32Array): Promise<void> =>
    writeSafetensors(join(folder, 'model.safetensors'), [
      ...tensors,
      { ...embedding, name: 'lm_head.weight', data },
    ])
  await carry(embedding.data)
  await checkWeights(folder, config)
  await carry(embedding.data.with(87, 9))
  await expect(checkWeights(folder, config)).rejects.toMatchObject({
    code: 'BAD_MODEL',
    message: `${folder}: "tie_word_embeddings" is true, but lm_head.weight is not the embedding`,
  })
})

test('sliding windows are refused only where they are used', () => {
  const json = { ...configToJson(qwen2), sliding_window: 16, max_window_layers: 0 }
  expect(parse(json)).toEqual(qwen2)
  expect(() => parse({ ...json, use_sliding_window: true })).toThrow('use_sliding_window is not supported')
  expect(() => parse({ ...json, layer_types: ['sliding_attention', 'full_attention'] })).toThrow(
    'layer type "sliding_attention" is not supported',
  )
  expect(() => parse({ ...configToJson(qwen3), attention_bias: true })).toThrow(
    'attention_bias is not supported',
  )
})

test('a folder without a tokenizer is not written silently', async () => {
  const content = { config, weights: randomWeights(config), tokenizerDir: dir }
  await expect(writeModelFolder(join(dir, 'none'), content)).rejects.toThrow('tokenizer.json: no such file')
})
