/** Models that an experiment names and does not make: folders, and models of a hub. */
import { join } from 'node:path'
import { LabError } from '../../errors.ts'
import type { ModelConfig } from '../../model/config.ts'
import { openModelFolder } from '../../model/open.ts'
import type { ResolvedBase } from '../../spec/experiment.ts'
import { hubSettings, type HubModel } from '../hub/client.ts'
import { openSnapshot, type DownloadProgress } from '../hub/snapshot.ts'
import { hashModelFolder } from './hashes.ts'

export type GivenBase = Extract<ResolvedBase, { kind: 'folder' | 'hub' }>

/** A model folder that stages may read, and the hash that stands for it in keys. */
export interface GivenModel {
  readonly folder: string
  /** Where its tokenizer lies: an adapter may leave it with its model. */
  readonly tokenizerFolder: string
  readonly hash: string
  readonly config: ModelConfig
}

/** Where models of a hub are kept, and whether their weights are needed now. */
export interface ModelSources {
  /** Root of the store. */
  readonly store: string
  /** A plan does without the weights of a hub; a run downloads them. */
  readonly weights: boolean
  readonly signal: AbortSignal
  readonly downloading?: (model: HubModel, progress: DownloadProgress) => void
}

/** Opens each model once, however many cells begin with it. */
export type GivenModels = (base: GivenBase) => Promise<GivenModel>

export function givenModels(sources: ModelSources): GivenModels {
  const opened = new Map<string, Promise<GivenModel>>()
  return async (base) => {
    const id = base.kind === 'folder' ? base.folder : `${base.repo}@${base.revision}`
    const known = opened.get(id) ?? openGiven(base, sources)
    opened.set(id, known)
    const model = await known
    const { name, context } = base
    if (context > model.config.maxPositions) {
      throw new LabError(
        'BAD_SPEC',
        `base ${name}: \`context\` is ${context}, but the model has ${model.config.maxPositions} positions`,
      )
    }
    return model
  }
}

async function openGiven(base: GivenBase, sources: ModelSources): Promise<GivenModel> {
  if (base.kind === 'folder') {
    const { folder } = base
    const { config, tokenizerFolder } = await openModelFolder(folder)
    return { folder, tokenizerFolder, config, hash: await hashModelFolder(folder) }
  }
  const { store, weights, signal, downloading } = sources
  const model: HubModel = { repo: base.repo, revision: base.revision }
  const context = { root: join(store, 'hub'), settings: hubSettings(), env: process.env, signal }
  const { folder, hash, complete } = await openSnapshot(
    model,
    { weights },
    { ...context, progress: (progress) => downloading?.(model, progress) },
  )
  const { config, tokenizerFolder } = await openModelFolder(folder, { weights: complete })
  return { folder, tokenizerFolder, hash, config }
}
