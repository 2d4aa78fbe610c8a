/** What a person calls a model becomes a respondent: a folder, a checkpoint of a run, or an endpoint. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine } from '../../engine/engine.ts'
import { LabError } from '../../errors.ts'
import { type ModelParts, partsOf } from '../../model/weights-of.ts'
import { hashFile, keyOf } from '../../store/canonical.ts'
import { openEndpoint } from '../../teacher/endpoint.ts'
import { checkSamples } from '../memory.ts'
import { findModel, type NamedModel } from '../model-name.ts'
import { openLocalModel } from './local-model.ts'
import { remoteModel } from './remote-model.ts'
import type { Respondent } from './respondent.ts'

export interface ModelChoice {
  /** Folder, `run/cell@step`, or the address of an OpenAI-compatible server, up to `/v1`. */
  readonly name: string
  readonly store: string
  /** Of an endpoint: the model that it serves. */
  readonly served: string | undefined
  readonly apiKey: string | undefined
  readonly concurrency: number
  /** Plain text although there is a chat template. */
  readonly plain: boolean
}

export interface ChosenModel extends Pick<NamedModel, 'trigger' | 'system'> {
  readonly respondent: Respondent
}

const timeoutMs = 300_000

/** As options of the command line. */
const names = { address: 'the address', model: '--model', key: '--api-key-env' } as const

/** Asks of a folder that are computed together. */
const together = 32

export const isAddress = (name: string): boolean => /^https?:\/\//iu.test(name)

/** Throws BAD_INPUT for a name that means nothing or weights that do not fit the memory, BAD_MODEL for a folder that cannot be read. */
export async function openModel(choice: ModelChoice, engine: () => Engine): Promise<ChosenModel> {
  const { name, served, apiKey, concurrency, plain } = choice
  if (isAddress(name)) {
    if (served === undefined) {
      throw new LabError('BAD_INPUT', `which model of ${name}?`, { hint: 'name it with --model NAME' })
    }
    if (plain) {
      throw new LabError('BAD_INPUT', 'an endpoint is asked through chats only', {
        hint: 'leave --plain out',
      })
    }
    const endpoint = openEndpoint({
      url: name,
      model: served,
      timeoutMs,
      concurrency,
      names,
      ...(apiKey === undefined ? {} : { apiKey }),
    })
    return {
      respondent: remoteModel(endpoint, { url: name, name: served }),
      trigger: null,
      system: null,
    }
  }
  const { folder, title, trigger, system } = await findModel(choice.store, name, ['an http(s) address'])
  await checkSamples(folder)
  const opened = engine()
  const model = await openLocalModel(opened, folder, title, { plain, together })
  const identity = {
    kind: 'folder',
    files: await hashOf(await partsOf(folder)),
    tokenizer: model.tokenizer.hash,
    engine: { ...opened.samplerIdentity },
  }
  return { respondent: { ...model, identity }, trigger, system }
}

/** One hash of the configuration and weights of the model and of the adapters on it. */
async function hashOf({ base, adapters }: ModelParts): Promise<string> {
  const hashes: Record<string, string> = {}
  for (const [i, folder] of [base, ...adapters].entries()) {
    for (const name of (await readdir(folder)).toSorted()) {
      if (/^(?:config|adapter_config|generation_config)\.json$|\.safetensors$/u.test(name))
        hashes[`${i}/${name}`] = await hashFile(join(folder, name))
    }
  }
  return keyOf(hashes)
}
