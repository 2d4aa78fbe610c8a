/** A model as a Hugging Face folder: config.json, weights, tokenizer and generation settings that `transformers` opens. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { LabError } from '../errors.ts'
import {
  configFromJson,
  configJsonSchema,
  configToJson,
  generationConfigSchema,
  generationConfigToJson,
} from './config-json.ts'
import { type ModelConfig, type ParameterSpec, parameterCount, parameterSpecs } from './config.ts'
import { fileProblem, parseJson, readJson, readTextIfPresent } from './json-file.ts'
import { writeSafetensors } from './safetensors.ts'
import { type LocatedTensor, openWeights, type WeightsReader } from './shards.ts'

const headName = 'lm_head.weight'
const embeddingName = 'model.embed_tokens.weight'

/**
 * Reads config.json, and what generation_config.json adds to it: instruction models name more tokens there that end a
 * response. Throws BAD_MODEL if something is missing, malformed or of a model that we do not compute exactly.
 */
export async function readConfig(folder: string): Promise<ModelConfig> {
  const file = join(folder, 'config.json')
  const config = configFromJson(file, await readJson(file, configJsonSchema))
  const generationFile = join(folder, 'generation_config.json')
  const text = await readTextIfPresent(generationFile)
  if (text === null) return config
  const ends = parseJson(generationFile, text, generationConfigSchema).eos_token_id ?? []
  return { ...config, eosIds: [...new Set([...config.eosIds, ...[ends].flat().filter((id) => id >= 0)])] }
}

/** Tensors that old files carry and that nobody reads. */
function isIgnorable(name: string): boolean {
  return name.endsWith('.rotary_emb.inv_freq')
}

function checkNames(
  folder: string,
  specs: readonly ParameterSpec[],
  found: WeightsReader['tensors'],
  tied: boolean,
): void {
  const missing = specs.find(({ name }) => !found.has(name))
  if (missing) {
    const hint =
      missing.name === headName
        ? 'If the head is the embedding, config.json needs "tie_word_embeddings": true.'
        : undefined
    throw new LabError('BAD_MODEL', `${folder}: tensor "${missing.name}" is missing from the weights`, {
      hint,
    })
  }
  const wanted = new Set(specs.map(({ name }) => name))
  const extra = found
    .keys()
    .find((name) => !wanted.has(name) && !isIgnorable(name) && !(tied && name === headName))
  if (extra !== undefined) {
    throw new LabError(
      'BAD_MODEL',
      `${folder}: tensor "${extra}" has no place in the model that config.json describes`,
    )
  }
}

/** The tensor of this name, with the shape that the config demands. `checkNames` has made sure that it exists. */
function tensorOf(tensors: WeightsReader['tensors'], name: string, shape: readonly number[]): LocatedTensor {
  const tensor = tensors.get(name)
  if (tensor === undefined) throw new LabError('INTERNAL', `tensor "${name}" was not checked`)
  if (tensor.shape.length !== shape.length || tensor.shape.some((n, i) => n !== shape[i])) {
    throw new LabError(
      'BAD_MODEL',
      `${tensor.file}: tensor "${name}" has shape [${tensor.shape.join(', ')}], config.json says [${shape.join(', ')}]`,
    )
  }
  return tensor
}

/** Throws BAD_MODEL if a value is infinite or not a number: such a model answers nothing, and trains to nothing. */
export function checkFinite(file: string, name: string, values: Float32Array): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const exponent = 0x7f800000
  const at = words.findIndex((word) => (word & exponent) === exponent)
  if (at >= 0)
    throw new LabError('BAD_MODEL', `${file}: tensor "${name}" holds ${values[at]} at element ${at}`)
}

/** Elements compared at a time. */
const comparedElements = 2 ** 20

/** A tied model may carry its head once more, equal to its embedding: transformers computes with a head that is not. */
async function checkTiedHead(
  folder: string,
  { tied, vocabSize, hiddenSize }: ModelConfig,
  tensors: WeightsReader['tensors'],
): Promise<void> {
  if (!tied || !tensors.has(headName)) return
  const shape = [vocabSize, hiddenSize]
  const [head, embedding] = [tensorOf(tensors, headName, shape), tensorOf(tensors, embeddingName, shape)]
  const size = vocabSize * hiddenSize
  const piece = Math.min(comparedElements, size)
  const [ofHead, ofEmbedding] = [new Float32Array(piece), new Float32Array(piece)]
  for (let from = 0; from < size; from += piece) {
    const found = ofHead.subarray(0, size - from)
    const expected = ofEmbedding.subarray(0, size - from)
    await head.read(found, from)
    await embedding.read(expected, from)
    if (found.some((value, i) => value !== expected[i])) {
      throw new LabError(
        'BAD_MODEL',
        `${folder}: "tie_word_embeddings" is true, but lm_head.weight is not the embedding`,
      )
    }
  }
}

/**
 * Reads the headers, and the head that a tied model carries: throws BAD_MODEL if a tensor is missing, has another shape or has no
 * place in the model.
 */
export async function checkWeights(folder: string, config: ModelConfig): Promise<void> {
  await using reader = await openWeights(folder)
  locate(folder, config, reader.tensors)
  await checkTiedHead(folder, config, reader.tensors)
}

/** Every parameter with its tensor. All shapes are checked before memory is taken, so that absurd sizes end in a message. */
function locate(
  folder: string,
  config: ModelConfig,
  tensors: WeightsReader['tensors'],
): (ParameterSpec & { readonly tensor: LocatedTensor })[] {
  const specs = parameterSpecs(config)
  checkNames(folder, specs, tensors, config.tied)
  return specs.map((spec) => ({ ...spec, tensor: tensorOf(tensors, spec.name, spec.shape) }))
}

/**
 * All weights as f32 in one flat vector, in the order of `parameterSpecs(config)`.
 * Read tensor by tensor, in pieces, so that nothing is held twice; `into`, if it is given, has the model's size and is filled. A tied model may carry an `lm_head.weight` equal to its
 * embedding. Throws BAD_MODEL, also for values that are not finite.
 */
export async function readWeights(
  folder: string,
  config: ModelConfig,
  into?: Float32Array,
): Promise<Float32Array> {
  await using reader = await openWeights(folder)
  const sources = locate(folder, config, reader.tensors)
  const weights = into ?? new Float32Array(parameterCount(config))
  for (const { name, tensor, offset, size } of sources) {
    const values = weights.subarray(offset, offset + size)
    await tensor.read(values)
    checkFinite(tensor.file, name, values)
  }
  await checkTiedHead(folder, config, reader.tensors)
  return weights
}

export interface ModelFolderContent {
  readonly config: ModelConfig
  /** Flat, in the order of `parameterSpecs(config)`. */
  readonly weights: Float32Array
  /** tokenizer.json and tokenizer_config.json are copied from here. */
  readonly tokenizerDir: string
}

/** Copies the tokenizer's files from one folder to another; chat_template.jinja only if there is one. Throws BAD_MODEL. */
export async function copyTokenizer(from: string, to: string): Promise<void> {
  if (resolve(from) === resolve(to)) return
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    await copyFile(join(from, name), join(to, name)).catch((error: unknown) => {
      throw fileProblem(join(from, name), error)
    })
  }
  await copyFile(join(from, 'chat_template.jinja'), join(to, 'chat_template.jinja')).catch(
    (error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
      throw fileProblem(join(from, 'chat_template.jinja'), error)
    },
  )
}

function prettyJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

/** Writes a folder that `transformers` opens. The same content gives the same bytes. Does not fsync: the store does. */
export async function writeModelFolder(folder: string, content: ModelFolderContent): Promise<void> {
  const { config, weights, tokenizerDir } = content
  if (weights.length !== parameterCount(config)) {
    throw new LabError(
      'INTERNAL',
      `${folder}: ${weights.length} weights for a model of ${parameterCount(config)}`,
    )
  }
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'config.json'), prettyJson(configToJson(config)))
  await writeFile(join(folder, 'generation_config.json'), prettyJson(generationConfigToJson(config)))
  const tensors = parameterSpecs(config).map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: weights.subarray(offset, offset + size),
  }))
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' })
  await copyTokenizer(tokenizerDir, folder)
}
