/** What a stage is: one unit of cached work with a key, the artifacts it leaves, and the code that makes them. */
import type { MemoryNeed } from './memory.ts'
import type { Section } from '../spec/placement-schema.ts'
import { mkdir, rm } from 'node:fs/promises'
import type { Cost, Engine, EngineName, SamplingCost } from '../engine/engine.ts'
import {
  artifactPath,
  commitFolder,
  readManifest,
  workPath,
  type ArtifactDescription,
  type ArtifactKind,
  type Store,
} from '../store/artifacts.ts'
import { keyOf, type Json } from '../store/canonical.ts'

export type StageKind = 'tokenizer' | 'prompts' | 'responses' | 'dataset' | 'train' | 'evaluate'

/** How far a running stage is, e.g. 64 of 128 steps. */
export interface StageProgress {
  readonly done: number
  readonly total: number
  readonly unit: 'steps' | 'items' | 'rows' | 'responses' | 'MB'
  readonly tokensPerSecond?: number
  readonly loss?: number
  readonly secondsLeft?: number
  /** Money used so far. */
  readonly usd?: number
}

/** What a stage may use while it runs. */
export interface StageTools {
  readonly store: Store
  /** The one that the stage names. */
  readonly engine: Engine
  readonly signal: AbortSignal
  readonly progress: (progress: StageProgress) => void
  /** That it waits for something outside, and for what. */
  readonly waiting: (why: string) => void
}

/** What a server is asked, at most. How long it takes is the server's to say. */
export interface AskingCost {
  readonly questions: number
  /** Of all responses. */
  readonly tokens: number
  /** Of prompts and responses, at the prices of the budget; null without. */
  readonly usd: number | null
}

/** Of a training, of a model that is asked here, or of one behind an endpoint. */
export type StageCost =
  | { readonly training: Cost }
  | { readonly sampling: SamplingCost }
  | { readonly asking: AskingCost }

export interface Stage {
  readonly kind: StageKind
  readonly key: string
  /** For people: `train direct`, `evaluate direct/hhh/lr=1e-4 step 32 backdoor`. */
  readonly title: string
  readonly needs: readonly Stage[]
  /** Who trains or samples in it. */
  readonly engine: EngineName
  /** Whose placement it runs in; null: it computes with no model, costs little and runs where the command was given. */
  readonly section: Section | null
  /** All that it leaves behind; the stage is cached when all exist. A training has one artifact a checkpoint. */
  readonly artifacts: readonly ArtifactDescription[]
  /** Estimated seconds on this machine; 0 where a server decides. */
  readonly seconds: number
  /** Estimated peak memory; stages run side by side only as far as it fits. */
  readonly memory?: MemoryNeed
  /** What its engine said that it will take, or what a server is asked. */
  readonly cost?: StageCost
  /** Why it must not run (an organism that failed its gate), or null. Asked when everything it needs exists. */
  readonly blocked?: (store: Store) => Promise<string | null>
  readonly perform: (tools: StageTools) => Promise<void>
}

/** Part of every key: raise a stage's version when its code would make other bytes from the same inputs. */
const stageVersions = { tokenizer: 1, prompts: 1, responses: 1, dataset: 1, evaluate: 4 } as const

export interface FolderStage {
  readonly kind: Exclude<StageKind, 'train'>
  readonly title: string
  /** Everything that can change the result; the keys of needed stages are among it. */
  readonly inputs: { readonly [name: string]: Json | undefined }
  readonly needs: readonly Stage[]
  readonly seconds: number
  readonly engine?: EngineName
  readonly section?: Section
  readonly memory?: MemoryNeed
  readonly cost?: StageCost
  /** `journal` is a file for what must outlive an attempt; it is gone when the artifact holds everything. */
  readonly fill: (folder: string, tools: StageTools & { readonly journal: string }) => Promise<void>
}

/** A stage that leaves one artifact: `fill` writes its files into an empty folder. */
export function folderStage(stage: FolderStage): Stage {
  const kind: ArtifactKind = stage.kind === 'evaluate' ? 'evaluation' : stage.kind
  const inputs = { stage_version: stageVersions[stage.kind], ...stage.inputs }
  const key = keyOf({ kind, ...inputs })
  const artifact: ArtifactDescription = { kind, key, title: stage.title, inputs }
  return {
    kind: stage.kind,
    key,
    title: stage.title,
    needs: stage.needs,
    engine: stage.engine ?? 'embedded',
    section: stage.section ?? null,
    artifacts: [artifact],
    seconds: stage.seconds,
    ...(stage.memory === undefined ? {} : { memory: stage.memory }),
    ...(stage.cost === undefined ? {} : { cost: stage.cost }),
    perform: async (tools) => {
      const started = performance.now()
      const folder = workPath(tools.store, stage.kind, key)
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { recursive: true })
      // Beside the folder of unfinished work, which every attempt begins anew.
      const journal = `${folder}.journal.jsonl`
      await stage.fill(folder, { ...tools, journal })
      await commitFolder(tools.store, artifact, folder, (performance.now() - started) / 1000)
      await rm(journal, { force: true })
    },
  }
}

/** Folder of the artifact of a stage that leaves exactly one. */
export function outputOf(store: Store, stage: Stage): string {
  const artifact = stage.artifacts[0]
  if (artifact === undefined) throw new RangeError(`${stage.title} leaves no artifact`)
  return artifactPath(store, artifact.kind, artifact.key)
}

/** A folder that a stage makes, or one that exists already, with a hash of its content. */
export type FolderSource = Stage | { readonly folder: string; readonly hash: string }

export const keyOfSource = (source: FolderSource): string => ('folder' in source ? source.hash : source.key)
export const needsOfSource = (source: FolderSource): Stage[] => ('folder' in source ? [] : [source])
export const folderOfSource = (store: Store, source: FolderSource): string =>
  'folder' in source ? source.folder : outputOf(store, source)

/** Those of its artifacts that do not exist yet. */
export async function missingArtifacts(store: Store, stage: Stage): Promise<ArtifactDescription[]> {
  const found = await Promise.all(stage.artifacts.map((a) => readManifest(store, a.kind, a.key)))
  return stage.artifacts.filter((_, i) => found[i] === null)
}
