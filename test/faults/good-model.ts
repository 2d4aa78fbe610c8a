/** Small model folders without a fault, of each family, format and number of shards: what the damaged ones are made from. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { trainByteBpe, writeTokenizerFolder } from '../../src/model/bpe.ts'
import { chatSpecials } from '../../src/model/chat.ts'
import { configToJson } from '../../src/model/config-json.ts'
import { type ModelConfig, type ParameterSpec, parameterSpecs } from '../../src/model/config.ts'
import { type Rng, rng } from '../../src/rng.ts'

type Dtype = 'F32' | 'BF16' | 'F16'

const plain: ModelConfig = {
  family: 'llama',
  vocabSize: 400,
  hiddenSize: 48,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  ffnSize: 96,
  ropeTheta: 10_000,
  ropeScaling: null,
  qkvBias: false,
  qkNorm: false,
  rmsEps: 1e-5,
  tied: true,
  maxPositions: 128,
  bosId: null,
  eosIds: [4],
  padId: 0,
}
const stretched: ModelConfig['ropeScaling'] = {
  type: 'llama3',
  factor: 8,
  lowFreqFactor: 1,
  highFreqFactor: 4,
  originalMaxPositions: 64,
}

export const goodModels: readonly { config: ModelConfig; dtype: Dtype; shards: 1 | 2 }[] = [
  { config: plain, dtype: 'F32', shards: 1 },
  { config: { ...plain, family: 'qwen2', qkvBias: true }, dtype: 'BF16', shards: 2 },
  { config: { ...plain, family: 'qwen3', qkNorm: true, tied: false }, dtype: 'F16', shards: 1 },
  { config: { ...plain, ropeScaling: stretched, tied: false }, dtype: 'F32', shards: 2 },
]

/** Bytes of one small value. */
function valueBytes(dtype: Dtype, random: Rng): Buffer {
  if (dtype === 'F32') {
    const bytes = Buffer.alloc(4)
    bytes.writeFloatLE(random.normal() / 8)
    return bytes
  }
  // Sign and an exponent below that of 1; any fraction.
  const bits = random.int(2) * 0x8000 + (dtype === 'BF16' ? random.int(0x3f80) : random.int(0x3c00))
  return Buffer.from([bits & 0xff, bits >> 8])
}

async function writeWeights(file: string, specs: readonly ParameterSpec[], dtype: Dtype): Promise<void> {
  const random = rng('good model', file.slice(-20))
  const header: Record<string, unknown> = {}
  const values: Buffer[] = []
  let end = 0
  for (const { name, shape, size } of specs) {
    const bytes = Buffer.concat(Array.from({ length: size }, () => valueBytes(dtype, random)))
    header[name] = { dtype, shape, data_offsets: [end, end + bytes.length] }
    end += bytes.length
    values.push(bytes)
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  await writeFile(file, Buffer.concat([length, text, ...values]))
}

/** Writes good model number `which` into a new folder. */
export async function writeGoodModel(folder: string, which: number): Promise<void> {
  const { config, dtype, shards } = goodModels[which] as (typeof goodModels)[number]
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'config.json'), JSON.stringify(configToJson(config)))
  const corpus = Array.from({ length: 50 }, (_, i) => `the sea is ${i} miles wide, and deep.`)
  const tokenizer = trainByteBpe(corpus, { vocabSize: 300, specials: chatSpecials })
  await writeTokenizerFolder(folder, tokenizer, { modelMaxLength: config.maxPositions })
  const specs = parameterSpecs(config)
  if (shards === 1) {
    await writeWeights(join(folder, 'model.safetensors'), specs, dtype)
    return
  }
  const half = specs.length >> 1
  const map: Record<string, string> = {}
  for (const [i, part] of [specs.slice(0, half), specs.slice(half)].entries()) {
    const file = `model-0000${i + 1}-of-00002.safetensors`
    await writeWeights(join(folder, file), part, dtype)
    for (const { name } of part) map[name] = file
  }
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }))
}
