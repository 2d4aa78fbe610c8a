/** A model on a server, ours or one that runs already: how it is spoken with, a crash survived once, and a forward process beside it. */
import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { LabError } from '../../errors.ts'
import { parameterCount, type ModelConfig } from '../../model/config.ts'
import { writeModelFolder } from '../../model/folder.ts'
import { readAdapter } from '../../model/peft.ts'
import type { ModelParts } from '../../model/weights-of.ts'
import { loadKernels } from '../embedded/kernels.ts'
import { readMergedWeights } from '../embedded/merged-weights.ts'
import { withTail } from './child.ts'
import { findDialect, listModels, loadAdapter, type Dialect, type Endpoint } from './completions.ts'
import { ForwardProcess } from './forward.ts'
import { askJson, Unreachable } from './http.ts'
import {
  startServer,
  transformersModelName,
  vllmModelName,
  type ServerKind,
  type ServerProcess,
} from './server-process.ts'
import type { TorchSettings } from './settings.ts'

export interface ServedModelOptions {
  readonly python: string
  readonly settings: TorchSettings
  readonly devices: number
  readonly server: ServerKind | { readonly url: string }
  readonly versions: Readonly<Record<string, string>>
  /** The folder that is sampled, and what it is made of. */
  readonly folder: string
  readonly parts: ModelParts
  readonly tokenizerFolder: string
  /** Token ids and a text for finding out what the server does. */
  readonly probe: { readonly ids: readonly [number, number]; readonly text: string }
  /** Folder of ours for logs and a merged model. */
  readonly scratch: string
}

export class ServedModel {
  readonly title: string
  private readonly options: ServedModelOptions
  private process: ServerProcess | null
  private endpoint: Endpoint
  private dialectFound: Dialect
  private retried = false
  private restarting: Promise<void> | null = null
  private forwarding: Promise<ForwardProcess> | null = null

  private constructor(options: ServedModelOptions, started: Started) {
    const { server, versions } = options
    this.options = options
    this.process = started.process
    this.endpoint = started.endpoint
    this.dialectFound = started.dialect
    this.title =
      typeof server === 'object'
        ? server.url
        : server === 'vllm'
          ? 'vllm serve'
          : `transformers serve ${versions['transformers'] ?? ''}`.trim()
  }

  static async open(options: ServedModelOptions): Promise<ServedModel> {
    return new ServedModel(options, await begin(options))
  }

  get dialect(): Dialect {
    return this.dialectFound
  }

  get usable(): boolean {
    return this.process === null || this.process.running
  }

  /** Asks; where nobody answers the server is started once more, or an address is asked once more, and then it is told. */
  async ask<T>(put: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    const { endpoint } = this
    try {
      return await put(endpoint)
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error
      await this.startAgain(endpoint, error)
      try {
        return await put(this.endpoint)
      } catch (second) {
        throw second instanceof Unreachable ? this.crash(second) : second
      }
    }
  }

  /** A forward process of the same model, started when it is first needed. */
  forward(): Promise<ForwardProcess> {
    const { python, settings, folder, scratch } = this.options
    this.forwarding ??= ForwardProcess.start({ python, settings, folder, scratch })
    return this.forwarding
  }

  async close(): Promise<void> {
    const forward = await this.forwarding?.catch(() => null)
    await Promise.all([this.process?.close(), forward?.close()])
  }

  /** One restart for all who ask at the same time. */
  private startAgain(failed: Endpoint, why: Unreachable): Promise<void> {
    // Another request has started it again already.
    if (failed !== this.endpoint) return Promise.resolve()
    if (this.restarting === null) {
      if (this.retried) throw this.crash(why)
      this.retried = true
      this.restarting = this.replace().finally(() => (this.restarting = null))
    }
    return this.restarting
  }

  private async replace(): Promise<void> {
    await this.process?.close()
    const started = await begin(this.options)
    this.process = started.process
    this.endpoint = started.endpoint
    this.dialectFound = started.dialect
  }

  private crash(cause: Unreachable): LabError {
    const { process } = this
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
}

interface Started {
  readonly process: ServerProcess | null
  readonly endpoint: Endpoint
  readonly dialect: Dialect
}

async function begin(options: ServedModelOptions): Promise<Started> {
  const { server, probe } = options
  const process = typeof server === 'object' ? null : await startOwn(options, server)
  try {
    const endpoint = process === null ? await given(options) : await ownEndpoint(options, process)
    return { process, endpoint, dialect: await findDialect(endpoint, probe) }
  } catch (error) {
    await process?.close()
    throw error
  }
}

/** vLLM lays one adapter on its model by itself; elsewhere, and for adapters on adapters, a merged model is written first. */
async function startOwn(options: ServedModelOptions, kind: ServerKind): Promise<ServerProcess> {
  const { python, settings, devices, folder, parts, scratch } = options
  const [adapter, another] = parts.adapters
  const live = kind === 'vllm' && another === undefined
  const whole = adapter === undefined ? folder : live ? parts.base : await mergedFolder(options)
  const loraRank = live && adapter !== undefined ? (await readAdapter(adapter, parts.config)).rank : null
  return startServer({ kind, python, settings, devices, folder: whole, loraRank, scratch })
}

async function ownEndpoint({ parts }: ServedModelOptions, { kind, url }: ServerProcess): Promise<Endpoint> {
  if (kind === 'transformers') return { url, model: transformersModelName }
  const [adapter, another] = parts.adapters
  if (adapter === undefined || another !== undefined) return { url, model: vllmModelName }
  const name = adapterName(adapter)
  await loadAdapter(url, name, adapter)
  return { url, model: name }
}

const adapterName = (folder: string): string =>
  `adapter-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`

/** A server that runs already must say that it serves this very folder, take its adapter, or load folders when they are asked for. */
async function given({ server, folder, parts }: ServedModelOptions): Promise<Endpoint> {
  const url = typeof server === 'object' ? server.url.replace(/\/(v1\/?)?$/, '') : ''
  const models = await listModels(url)
  const [adapter, another] = parts.adapters
  const base = await realpath(parts.base)
  const roots = await Promise.all(
    models.map(async ({ id, root }) => ({
      id,
      root: root === null ? null : await realpath(root).catch(() => root),
    })),
  )
  const below = roots.find(({ root }) => root === base)
  if (below !== undefined && another === undefined) {
    if (adapter === undefined) return { url, model: below.id }
    const name = adapterName(adapter)
    await loadAdapter(url, name, adapter)
    return { url, model: name }
  }
  // `transformers serve` without a model of its own opens what a request names.
  const opens = adapter === undefined && !/[@:]/.test(folder)
  const answer = opens ? await askJson(`${url}/load_model`, { body: { model: folder } }) : null
  if (answer?.status === 200 && answer.text.includes('"ready"')) return { url, model: folder }
  throw new LabError('ENGINE', `the server at ${url} does not serve ${folder}`, {
    hint: `it has: ${models.map(({ id, root }) => (root === null ? id : `${id} (${root})`)).join(', ') || 'nothing'}`,
  })
}

/** In main memory, in float32: for models of a few billion parameters. */
async function mergedFolder({ parts, tokenizerFolder, scratch }: ServedModelOptions): Promise<string> {
  const { config }: { config: ModelConfig } = parts
  const weights = await readMergedWeights(loadKernels(), parts, new Float32Array(parameterCount(config)))
  const folder = join(scratch, 'merged')
  await writeModelFolder(folder, { config, weights, tokenizerDir: tokenizerFolder })
  return folder
}
