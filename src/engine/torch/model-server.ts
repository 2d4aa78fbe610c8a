/** A server over one model, ours or one that runs already, and the adapters that it has read. */
import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { LabError } from '../../errors.ts'
import { parameterCount } from '../../model/config.ts'
import { writeModelFolder } from '../../model/folder.ts'
import type { ModelParts } from '../../model/weights-of.ts'
import { loadKernels } from '../embedded/kernels.ts'
import { readMergedWeights } from '../embedded/merged-weights.ts'
import { withTail } from './child.ts'
import { findDialect, listModels, loadAdapter, type Dialect, type Endpoint } from './completions.ts'
import { ForwardProcess } from './forward.ts'
import { askJson, type Unreachable } from './http.ts'
import { type Entered, Lane } from './lane.ts'
import {
  startServer,
  transformersModelName,
  vllmModelName,
  type ServerKind,
  type ServerProcess,
} from './server-process.ts'
import type { TorchSettings } from './settings.ts'
import { writeStackedAdapter } from './stacked-adapters.ts'

/** A folder that is sampled, and what it is made of. */
export interface ServedFolder {
  readonly folder: string
  readonly parts: ModelParts
}

export interface ModelServerOptions {
  readonly python: string
  readonly settings: TorchSettings
  readonly devices: number
  readonly server: ServerKind | { readonly url: string }
  readonly versions: Readonly<Record<string, string>>
  /** Adapters of up to this rank will be laid on the model; null: none. */
  readonly loraRank: number | null
  /** The first that will be asked for; others have the same base. */
  readonly first: ServedFolder
  readonly tokenizerFolder: string
  /** Token ids and a text for finding out what the server does. */
  readonly probe: { readonly ids: readonly [number, number]; readonly text: string }
  /** Folder of ours for logs, a merged model and stacked adapters. */
  readonly scratch: string
}

/** One start of a server. */
interface Started {
  readonly process: ServerProcess | null
  readonly dialect: Dialect
  /** Of the model alone. */
  readonly model: Endpoint
  /** By the name of the adapter. */
  readonly adapters: Map<string, Promise<Endpoint>>
}

/** Whether a server lays adapters on its model while it runs. Others get a merged model. */
export const laysAdapters = (server: ModelServerOptions['server']): boolean => server !== 'transformers'

export class ModelServer {
  readonly title: string
  private readonly options: ModelServerOptions
  private started: Started
  private restarting: Promise<void> | null = null
  private readonly forwards = new Lane()

  private constructor(options: ModelServerOptions, started: Started) {
    const { server, versions } = options
    this.options = options
    this.started = started
    this.title =
      typeof server === 'object'
        ? server.url
        : server === 'vllm'
          ? 'vllm serve'
          : `transformers serve ${versions['transformers'] ?? ''}`.trim()
  }

  static async open(options: ModelServerOptions): Promise<ModelServer> {
    return new ModelServer(options, await begin(options))
  }

  get dialect(): Dialect {
    return this.started.dialect
  }

  get usable(): boolean {
    const { process } = this.started
    return process === null || process.running
  }

  /** Tells this start from the next. */
  get start(): object {
    return this.started
  }

  /** How a folder is asked for; its adapters are read at the first time. */
  endpoint({ folder, parts }: ServedFolder): Promise<Endpoint> {
    const { model, adapters } = this.started
    if (!laysAdapters(this.options.server) || parts.adapters.length === 0) return Promise.resolve(model)
    const name = `adapter-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`
    const known = adapters.get(name)
    if (known !== undefined) return known
    const loading = this.load(model.url, name, parts)
    adapters.set(name, loading)
    // Who awaits it is told; who comes later tries again.
    loading.catch(() => adapters.delete(name))
    return loading
  }

  /** A forward process of the folder beside it: one at a time, kept until another folder's is asked for. */
  forward({ folder }: ServedFolder): Promise<Entered<ForwardProcess>> {
    const { python, settings, scratch } = this.options
    return this.forwards.enter({
      key: folder,
      open: () => ForwardProcess.start({ python, settings, folder, scratch }),
      end: (process) => process.close(),
      usable: (process) => process.usable,
    })
  }

  /** Starts it anew, once for all who found that start gone. */
  restart(gone: object): Promise<void> {
    if (gone !== this.started) return Promise.resolve()
    this.restarting ??= this.replace().finally(() => (this.restarting = null))
    return this.restarting
  }

  /** What is told of a server that did not answer twice. */
  crash(cause: Unreachable): LabError {
    const { process } = this.started
    if (process === null) {
      return new LabError('ENGINE', `${this.title} gave no answer twice: ${cause.message}`, {
        hint: 'start it again, then run the same command',
        cause,
      })
    }
    return new LabError('ENGINE', withTail(`${this.title} ended twice while it was asked`, process.log), {
      hint: `the same command begins this evaluation again; the whole log is ${process.log}`,
      cause,
    })
  }

  async close(): Promise<void> {
    await Promise.all([this.started.process?.close(), this.forwards.close()])
  }

  private async load(url: string, name: string, parts: ModelParts): Promise<Endpoint> {
    const [adapter = '', another] = parts.adapters
    const stacked = join(this.options.scratch, name)
    if (another !== undefined) await writeStackedAdapter(stacked, parts)
    await loadAdapter(url, name, another === undefined ? adapter : stacked)
    return { url, model: name }
  }

  private async replace(): Promise<void> {
    await this.started.process?.close()
    this.started = await begin(this.options)
  }
}

async function begin(options: ModelServerOptions): Promise<Started> {
  const { server, probe } = options
  const process = typeof server === 'object' ? null : await startOwn(options, server)
  try {
    const model = process === null ? await given(options) : own(process)
    return { process, model, dialect: await findDialect(model, probe), adapters: new Map() }
  } catch (error) {
    await process?.close()
    throw error
  }
}

async function startOwn(options: ModelServerOptions, kind: ServerKind): Promise<ServerProcess> {
  const { python, settings, devices, first, loraRank, scratch } = options
  const merged = !laysAdapters(kind) && first.parts.adapters.length > 0
  const folder = merged ? await mergedFolder(options) : first.parts.base
  return startServer({ kind, python, settings, devices, folder, loraRank, scratch })
}

const own = ({ kind, url }: ServerProcess): Endpoint => ({
  url,
  model: kind === 'transformers' ? transformersModelName : vllmModelName,
})

/** A server that runs already must say that it serves the very model, or load folders when they are asked for. */
async function given({ server, first: { folder, parts } }: ModelServerOptions): Promise<Endpoint> {
  const url = typeof server === 'object' ? server.url.replace(/\/(v1\/?)?$/, '') : ''
  const models = await listModels(url)
  const base = await realpath(parts.base)
  for (const { id, root } of models) {
    if (root !== null && (await realpath(root).catch(() => root)) === base) return { url, model: id }
  }
  // `transformers serve` without a model of its own opens what a request names.
  const opens = parts.adapters.length === 0 && !/[@:]/.test(folder)
  const answer = opens ? await askJson(`${url}/load_model`, { body: { model: folder } }) : null
  if (answer?.status === 200 && answer.text.includes('"ready"')) return { url, model: folder }
  throw new LabError('ENGINE', `the server at ${url} does not serve ${folder}`, {
    hint: `it has: ${models.map(({ id, root }) => (root === null ? id : `${id} (${root})`)).join(', ') || 'nothing'}`,
  })
}

/** In main memory, in float32: for models of a few billion parameters. */
async function mergedFolder({ first, tokenizerFolder, scratch }: ModelServerOptions): Promise<string> {
  const { parts } = first
  const { config } = parts
  const weights = await readMergedWeights(loadKernels(), parts, new Float32Array(parameterCount(config)))
  const folder = join(scratch, 'merged')
  await writeModelFolder(folder, { config, weights, tokenizerDir: tokenizerFolder })
  return folder
}
