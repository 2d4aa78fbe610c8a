/** Models that an experiment names and does not make: folders, and models of a hub. */
import { LabError } from '../../errors.ts'
import type { ModelConfig } from '../../model/config.ts'
import { openModelFolder } from '../../model/open.ts'
import type { ResolvedBase } from '../../spec/experiment.ts'
import type { HubRepo } from '../hub/client.ts'
import { type DownloadProgress, hubContext } from '../hub/fetch.ts'
import { openSnapshot } from '../hub/snapshot.ts'
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

/** Where models and data files of a hub are kept, and what of them is needed now. */
export interface HubSources {
  /** Root of the store. */
  readonly store: string
  /** A plan does without the weights of a hub; a run downloads them. */
  readonly weights: boolean
  /** A plan does without large data files of a hub; whoever reads them downloads them. */
  readonly data: boolean
  readonly signal: AbortSignal
  /** Of a model or a dataset, `organisation/name`. */
  readonly downloading?: (repo: string, progress: DownloadProgress) => void
}

/** Opens each model once, however many cells begin with it. */
export type GivenModels = (base: GivenBase) => Promise<GivenModel>

export function givenModels(sources: HubSources): GivenModels {
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

async function openGiven(base: GivenBase, sources: HubSources): Promise<GivenModel> {
  if (base.kind === 'folder') {
    const { folder } = base
    const { config, tokenizerFolder } = await openModelFolder(folder)
    return { folder, tokenizerFolder, config, hash: await hashModelFolder(folder) }
  }
  const { store, weights, signal, downloading } = sources
  const model: HubRepo = { kind: 'model', repo: base.repo, revision: base.revision }
  const progress = (done: DownloadProgress): void => downloading?.(base.repo, done)
  const { folder, hash, complete } = await openSnapshot(
    model,
    { weights },
    hubContext(store, { signal, progress }),
  )
  const { config, tokenizerFolder } = await openModelFolder(folder, { weights: complete })
  return { folder, tokenizerFolder, hash, config }
}
