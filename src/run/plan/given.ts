/** Models that an experiment names and does not make: folders, and models of a hub. */
import { existsSync } from 'node:fs'
import { LabError, messageOf } from '../../errors.ts'
import { parameterCount, type ModelConfig } from '../../model/config.ts'
import { openModelFolder } from '../../model/open.ts'
import { shapeDifferences } from '../../model/published-shapes.ts'
import type { ResolvedBase } from '../../spec/experiment.ts'
import { type HubRead, type HubRepo, HubSilence } from '../hub/client.ts'
import { type DownloadProgress, hubContext } from '../hub/fetch.ts'
import { openHubModel } from '../hub/adapter.ts'
import { hashModelFolder } from './hashes.ts'
import { type Unseen, unseenHash } from './unseen.ts'

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
  /** Told what cannot be looked at, which a plan goes on without. Without it such a source is refused. */
  readonly unseen?: (source: Unseen) => void
  /** Told once of each model whose weights are not here, with the bytes that a run downloads, as if they were in bfloat16. */
  readonly lacking?: (bytes: number) => void
  readonly signal: AbortSignal
  /** Of a model or a dataset, `organisation/name`. */
  readonly downloading?: (repo: string, progress: DownloadProgress) => void
}

/** Opens each model once, however many cells begin with it; `read` is told what is read of a hub. */
export type GivenModels = (base: GivenBase) => Promise<GivenModel>

export function givenModels(sources: HubSources, read: (found: HubRead) => void): GivenModels {
  const opened = new Map<string, Promise<GivenModel>>()
  return async (base) => {
    const id = base.kind === 'folder' ? base.folder : `${base.repo}@${base.revision}`
    const known = opened.get(id) ?? openOrReckon(base, sources, read)
    opened.set(id, known)
    const model = await known
    const { name, context, shape } = base
    const wrong = shape === null ? [] : shapeDifferences(shape, model.config)
    if (wrong.length > 0)
      throw new LabError(
        'BAD_SPEC',
        `base ${name} is not of the \`shape\` that the file says: ${wrong.join(', ')}`,
      )
    if (context > model.config.maxPositions) {
      throw new LabError(
        'BAD_SPEC',
        `base ${name}: \`context\` is ${context}, but the model has ${model.config.maxPositions} positions`,
      )
    }
    return model
  }
}

/** A model that cannot be reached is as large as the file says. */
async function openOrReckon(
  base: GivenBase,
  sources: HubSources,
  read: (found: HubRead) => void,
): Promise<GivenModel> {
  try {
    return await openGiven(base, sources, read)
  } catch (error) {
    const silent = error instanceof HubSilence || (base.kind === 'folder' && !existsSync(base.folder))
    if (!silent || sources.unseen === undefined) throw error
    if (base.shape === null) {
      throw new LabError('BAD_SPEC', `base ${base.name}: ${messageOf(error)}`, {
        hint: 'a plan needs no more than its size: `shape: llama-3.1-8b`, or `shape: { vocab: 128256, hidden: 4096, ... }`',
        cause: error,
      })
    }
    const source = base.kind === 'folder' ? base.folder : `hub:${base.repo}`
    const why = error instanceof HubSilence ? error.reason : 'no such folder'
    sources.unseen({ kind: 'model', source, why })
    if (base.kind === 'hub') sources.lacking?.(downloadBytes(base.shape))
    return { folder: source, tokenizerFolder: source, hash: unseenHash(source), config: base.shape }
  }
}

async function openGiven(
  base: GivenBase,
  sources: HubSources,
  read: (found: HubRead) => void,
): Promise<GivenModel> {
  if (base.kind === 'folder') {
    const { folder } = base
    const { config, tokenizerFolder } = await openModelFolder(folder)
    const hash = await hashModelFolder(sources.store, folder)
    return { folder, tokenizerFolder, config, hash }
  }
  const { store, weights, signal, downloading, lacking } = sources
  const model: HubRepo = { kind: 'model', repo: base.repo, revision: base.revision }
  const progress = (done: DownloadProgress): void => downloading?.(base.repo, done)
  const opened = await openHubModel(model, { weights }, hubContext(store, { signal, progress }))
  opened.read.forEach(read)
  const { folder, hash, complete } = opened
  const { config, tokenizerFolder } = await openModelFolder(folder, { weights: complete })
  if (!complete) lacking?.(downloadBytes(config))
  return { folder, tokenizerFolder, hash, config }
}

const downloadBytes = (config: ModelConfig): number => 2 * parameterCount(config)
