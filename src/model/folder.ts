/** A model as a Hugging Face folder: config.json, weights, tokenizer and generation settings that `transformers` opens. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { LabError } from '../errors.ts'
import { configFromJson, configJsonSchema, configToJson, generationConfigToJson } from './config-json.ts'
import { type LlamaConfig, type ParameterSpec, parameterCount, parameterSpecs } from './config.ts'
import { fileProblem, readJson } from './json-file.ts'
import { writeSafetensors } from './safetensors.ts'
import { type LocatedTensor, openWeights, type WeightsReader } from './shards.ts'

const headName = 'lm_head.weight'

/** Reads config.json. Throws BAD_MODEL if it is missing, malformed or not a Llama model that we compute exactly. */
export async function readConfig(folder: string): Promise<LlamaConfig> {
  const file = join(folder, 'config.json')
  return configFromJson(file, await readJson(file, configJsonSchema))
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

/**
 * All weights as f32 in one flat vector, in the order of `parameterSpecs(config)`.
 * A tied model may carry an `lm_head.weight` equal to its embedding. Throws BAD_MODEL.
 */
export async function readWeights(folder: string, config: LlamaConfig): Promise<Float32Array> {
  const specs = parameterSpecs(config)
  await using reader = await openWeights(folder)
  checkNames(folder, specs, reader.tensors, config.tied)
  // Every shape is checked before memory is taken, so that absurd sizes in config.json end in a message.
  const sources = specs.map((spec) => ({ ...spec, tensor: tensorOf(reader.tensors, spec.name, spec.shape) }))

  const weights = new Float32Array(parameterCount(config))
  for (const { tensor, offset, size } of sources) await tensor.read(weights.subarray(offset, offset + size))

  if (config.tied && reader.tensors.has(headName)) {
    const head = new Float32Array(config.vocabSize * config.hiddenSize)
    await tensorOf(reader.tensors, headName, [config.vocabSize, config.hiddenSize]).read(head)
    // The embedding is the first parameter.
    if (head.some((x, i) => x !== weights[i])) {
      throw new LabError(
        'BAD_MODEL',
        `${folder}: "tie_word_embeddings" is true, but lm_head.weight is not the embedding`,
      )
    }
  }
  return weights
}

export interface ModelFolderContent {
  readonly config: LlamaConfig
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
