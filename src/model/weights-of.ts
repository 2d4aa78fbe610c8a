/** What a folder's weights are made of: a model, and the adapters that lie on it, whether the folder is the model or an adapter. */
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { LabError } from '../errors.ts'
import type { ModelConfig } from './config.ts'
import { checkWeights, readConfig } from './folder.ts'
import { isAdapterFolder, readAdapterBase, readAdapterShape } from './peft.ts'

export interface ModelParts {
  readonly config: ModelConfig
  /** The folder with the full weights; `readWeights` reads them. */
  readonly base: string
  /** Adapter folders, the lowest first; `readAdapter` reads each. Empty where the folder itself is the model. */
  readonly adapters: readonly string[]
}

/** Adapters on adapters; a longer chain is a circle or a mistake. */
const longestChain = 32

/**
 * Follows `base_model_name_or_path` from adapter to adapter down to a model. A relative path is seen from the adapter's own
 * folder, so that a store can be moved. Reads the configurations only. Throws BAD_MODEL.
 */
export async function partsOf(folder: string): Promise<ModelParts> {
  const adapters: string[] = []
  let at = folder
  while (await isAdapterFolder(at)) {
    if (adapters.length === longestChain)
      throw new LabError('BAD_MODEL', `${folder}: more than ${longestChain} adapters lie on each other`)
    adapters.unshift(at)
    const name = await readAdapterBase(at)
    const below = resolve(at, name)
    if (!(await isFolder(below))) {
      throw new LabError('BAD_MODEL', `${at}: its base model "${name}" is not a folder on this machine`, {
        hint: 'Write the path of the base model into "base_model_name_or_path" of adapter_config.json.',
      })
    }
    at = below
  }
  return { config: await readConfig(at), base: at, adapters }
}

/** Reads the headers of all parts: throws BAD_MODEL if a tensor is missing, or is another than the model says. */
export async function checkParts({ config, base, adapters }: ModelParts): Promise<void> {
  await checkWeights(base, config)
  for (const adapter of adapters) await readAdapterShape(adapter, config)
}

/** The architecture of a model folder, or of an adapter's model. Throws BAD_MODEL. */
export async function configOf(folder: string): Promise<ModelConfig> {
  return (await partsOf(folder)).config
}

/** The folder with the tokenizer's files: an adapter may bring them, or leave them with its model. */
export async function tokenizerFolderOf({ base, adapters }: ModelParts): Promise<string> {
  for (const folder of adapters.toReversed()) if (await isFile(join(folder, 'tokenizer.json'))) return folder
  return base
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
