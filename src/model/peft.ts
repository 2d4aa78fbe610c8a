/** LoRA adapters as PEFT folders: adapter_config.json and adapter_model.safetensors, read and written as `peft` does. */
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LabError } from '../errors.ts'
import type { ModelConfig, ParameterSpec } from './config.ts'
import { checkFinite } from './folder.ts'
import { readJson } from './json-file.ts'
import { peftConfigJson, peftConfigSchema, type PeftConfig } from './peft-config.ts'
import { openSafetensors, writeSafetensors, type SafetensorsReader } from './safetensors.ts'

/** The linear layers of a block, in groups that read the same input. */
export const loraTargetGroups = [
  ['q_proj', 'k_proj', 'v_proj'],
  ['o_proj'],
  ['gate_proj', 'up_proj'],
  ['down_proj'],
] as const
export type LoraTarget = (typeof loraTargetGroups)[number][number]
export const loraTargets: readonly LoraTarget[] = loraTargetGroups.flat()

/** What adapters a model has: W + scale · B A beside every target's weight W [out, in], A [rank, in], B [out, rank]. */
export interface LoraShape {
  readonly rank: number
  readonly targets: readonly LoraTarget[]
  /** Ascending; all layers if it is left out. */
  readonly layers?: readonly number[]
}

export interface LoraAdapter extends Required<LoraShape> {
  readonly alpha: number
  /** alpha / rank, or alpha / √rank where PEFT's `use_rslora` is set. */
  readonly scale: number
  /** Flat, in the order of `loraSpecs`. */
  readonly weights: Float32Array
}

const configFile = 'adapter_config.json'
const weightsFile = 'adapter_model.safetensors'

/** The module's name without its prefix, e.g. `model.layers.0.self_attn.q_proj`. */
export function loraModule(layer: number, target: LoraTarget): string {
  const block = ['gate_proj', 'up_proj', 'down_proj'].includes(target) ? 'mlp' : 'self_attn'
  return `model.layers.${layer}.${block}.${target}`
}

/** [out, in] of a target's weight. */
export function loraSizes(
  { hiddenSize, heads, kvHeads, headDim, ffnSize }: ModelConfig,
  target: LoraTarget,
): { readonly outputs: number; readonly inputs: number } {
  if (target === 'q_proj') return { outputs: heads * headDim, inputs: hiddenSize }
  if (target === 'k_proj' || target === 'v_proj') return { outputs: kvHeads * headDim, inputs: hiddenSize }
  if (target === 'o_proj') return { outputs: hiddenSize, inputs: heads * headDim }
  if (target === 'down_proj') return { outputs: hiddenSize, inputs: ffnSize }
  return { outputs: ffnSize, inputs: hiddenSize }
}

export const loraKey = (layer: number, target: LoraTarget, matrix: 'A' | 'B'): string =>
  `base_model.model.${loraModule(layer, target)}.lora_${matrix}.weight`

/**
 * Every matrix of the adapters, under its name in the file. Layer by layer; the A of targets that read the same input lie
 * together, and so do their B.
 */
export function loraSpecs(config: ModelConfig, { rank, targets, layers }: LoraShape): ParameterSpec[] {
  const specs: ParameterSpec[] = []
  let offset = 0
  for (const layer of layers ?? Array(config.layers).keys()) {
    for (const group of loraTargetGroups) {
      for (const matrix of ['A', 'B'] as const) {
        for (const target of group.filter((name) => targets.includes(name))) {
          const { outputs, inputs } = loraSizes(config, target)
          const shape = matrix === 'A' ? [rank, inputs] : [outputs, rank]
          const size = matrix === 'A' ? rank * inputs : outputs * rank
          specs.push({ name: loraKey(layer, target, matrix), shape, offset, size })
          offset += size
        }
      }
    }
  }
  return specs
}

/** Number of trained parameters. */
export function loraCount(config: ModelConfig, shape: LoraShape): number {
  return loraSpecs(config, shape).reduce((n, { size }) => n + size, 0)
}

/** Whether a folder holds an adapter and not a model. */
export async function isAdapterFolder(folder: string): Promise<boolean> {
  return stat(join(folder, configFile)).then(
    () => true,
    () => false,
  )
}

/** The name of the base model as adapter_config.json has it: a folder, or a name of a hub. Throws BAD_MODEL. */
export async function readAdapterBase(folder: string): Promise<string> {
  const file = join(folder, configFile)
  const { base_model_name_or_path: base } = await readJson(file, peftConfigSchema)
  if (base === null || base === undefined)
    throw new LabError('BAD_MODEL', `${file}: "base_model_name_or_path" does not name the base model`)
  return base
}

/** Reads the headers alone. Throws BAD_MODEL if the adapter does not fit the model. */
export async function readAdapterShape(folder: string, config: ModelConfig): Promise<Required<LoraShape>> {
  await using opened = await openAdapter(folder, config)
  const { rank, targets, layers } = opened
  return { rank, targets, layers }
}

/** Reads an adapter as f32; `weights`, if given, are filled. Throws BAD_MODEL. */
export async function readAdapter(
  folder: string,
  config: ModelConfig,
  into?: Float32Array,
): Promise<LoraAdapter> {
  await using opened = await openAdapter(folder, config)
  const { reader, alpha, scale, ...shape } = opened
  const specs = loraSpecs(config, shape)
  const count = loraCount(config, shape)
  const weights = into ?? new Float32Array(count)
  if (weights.length !== count)
    throw new LabError('BAD_MODEL', `${folder}: has ${count} values, ${weights.length} were expected`)
  for (const { name, offset, size } of specs) {
    const values = weights.subarray(offset, offset + size)
    await reader.read(name, values)
    checkFinite(reader.header.file, name, values)
  }
  const { rank, targets, layers } = shape
  return { rank, targets, layers, alpha, scale, weights }
}

interface OpenedAdapter extends Required<LoraShape>, AsyncDisposable {
  readonly reader: SafetensorsReader
  readonly alpha: number
  readonly scale: number
}

async function openAdapter(folder: string, config: ModelConfig): Promise<OpenedAdapter> {
  const file = join(folder, configFile)
  const peft = await readJson(file, peftConfigSchema)
  await using opening = new AsyncDisposableStack()
  const reader = opening.use(await openSafetensors(join(folder, weightsFile)))
  const { r: rank, lora_alpha: alpha, use_rslora: rslora } = peft
  const shape = checkedShape(file, peft, config, reader)
  const scale = alpha / (rslora ? Math.sqrt(rank) : rank)
  const open = opening.move()
  return { reader, ...shape, alpha, scale, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

/** The adapters that the tensors show. Which modules a pattern means, only its reader in Python can say. */
function checkedShape(
  configName: string,
  { r: rank, target_modules: named, layers_to_transform: narrowed }: PeftConfig,
  config: ModelConfig,
  { header: { file, entries } }: SafetensorsReader,
): Required<LoraShape> {
  const wrong = (what: string, hint?: string): LabError =>
    new LabError('BAD_MODEL', `${file}: ${what}`, { hint })
  const every = [...Array(config.layers).keys()]
  const has = (layer: number, target: LoraTarget): boolean => entries.has(loraKey(layer, target, 'A'))
  const targets = loraTargets.filter((target) => every.some((layer) => has(layer, target)))
  const layers = every.filter((layer) => targets.some((target) => has(layer, target)))
  const shape = { rank, targets, layers }
  const specs = loraSpecs(config, shape)
  const known = new Set(specs.map(({ name }) => name))
  const extra = entries.keys().find((name) => !known.has(name))
  if (extra !== undefined)
    throw wrong(`tensor "${extra}" is no part of an adapter of this model's linear layers`)
  if (specs.length === 0)
    throw wrong('holds no adapter', 'save it again with PEFT, or name the model that it belongs to')
  for (const { name, shape: expected } of specs) {
    const entry = entries.get(name)
    if (entry === undefined)
      throw wrong(`tensor "${name}" is missing; layers with adapters must have the same ones`)
    if (entry.shape.length !== 2 || entry.shape.some((n, i) => n !== expected[i])) {
      throw wrong(
        `tensor "${name}" has shape [${entry.shape.join(', ')}], the model and "r": ${rank} say [${expected.join(', ')}]`,
      )
    }
  }
  if (Array.isArray(named)) {
    const unnamed = targets.find((target) =>
      layers.some((layer) => {
        const module = loraModule(layer, target)
        return !named.some((name) => module === name || module.endsWith(`.${name}`))
      }),
    )
    if (unnamed !== undefined)
      throw new LabError(
        'BAD_MODEL',
        `${configName}: "target_modules" leaves out ${unnamed}, which has tensors`,
      )
  }
  // PEFT takes an empty list for every layer.
  const kept = [narrowed ?? []].flat()
  const left = layers.find((layer) => !kept.includes(layer))
  if (kept.length > 0 && left !== undefined)
    throw new LabError(
      'BAD_MODEL',
      `${configName}: "layers_to_transform" leaves out layer ${left}, which has tensors`,
    )
  return shape
}

export interface AdapterFolderContent extends LoraShape {
  readonly config: ModelConfig
  readonly alpha: number
  /** Flat, in the order of `loraSpecs`. */
  readonly weights: Float32Array
  /** What adapter_config.json calls the base model. */
  readonly base: string
}

/** Writes the two files of a folder that `peft` opens. The same content gives the same bytes. */
export async function writeAdapter(folder: string, content: AdapterFolderContent): Promise<void> {
  const { config, base, rank, alpha, targets, layers, weights } = content
  await mkdir(folder, { recursive: true })
  const ordered = loraTargets.filter((target) => targets.includes(target))
  const json = peftConfigJson({ base, rank, alpha, targets: ordered, layers: layers ?? null })
  await writeFile(join(folder, configFile), `${JSON.stringify(json, null, 2)}\n`)
  const tensors = loraSpecs(config, content).map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: weights.subarray(offset, offset + size),
  }))
  await writeSafetensors(join(folder, weightsFile), tensors, { format: 'pt' })
}
