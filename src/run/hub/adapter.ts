/** A model of a hub that may be an adapter: then the model that it lies on is opened too, and both become one folder. */
import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { LabError } from '../../errors.ts'
import { readJson } from '../../model/json-file.ts'
import { isAdapterFolder } from '../../model/peft.ts'
import { peftConfigSchema } from '../../model/peft-config.ts'
import { hubName } from '../../spec/data-source.ts'
import { keyOf } from '../../store/canonical.ts'
import type { HubRead, HubRepo } from './client.ts'
import type { HubContext } from './fetch.ts'
import { openSnapshot } from './snapshot.ts'

export interface HubModel {
  readonly folder: string
  /** Over both commits and all their files. */
  readonly hash: string
  /** All weights lie on this machine. */
  readonly complete: boolean
  /** The adapter, and what it lies on. */
  readonly read: readonly HubRead[]
}

const configFile = 'adapter_config.json'
/** Adapters on adapters; a longer chain is a circle or a mistake. */
const longestChain = 8

/** Finds or downloads a model, or an adapter with its model. Throws BAD_MODEL. */
export async function openHubModel(
  model: HubRepo,
  options: { readonly weights: boolean },
  context: HubContext,
  depth = 0,
): Promise<HubModel> {
  if (depth > longestChain)
    throw new LabError('BAD_MODEL', `${model.repo}: more than ${longestChain} adapters lie on each other`)
  const own = await openSnapshot(model, options, context)
  const read: HubRead = { ...model, commit: own.commit, path: null }
  if (!(await isAdapterFolder(own.folder))) return { ...own, read: [read] }
  const below = await openHubModel(await belowOf(own.folder, model), options, context, depth + 1)
  const hash = keyOf({ adapter: own.hash, model: below.hash })
  const folder = await onOneAnother(own.folder, below.folder, join(context.root, 'adapters', hash))
  return { folder, hash, complete: own.complete && below.complete, read: [read, ...below.read] }
}

/** The model that an adapter was trained on, as its configuration names it. */
async function belowOf(folder: string, { repo }: HubRepo): Promise<HubRepo> {
  const file = join(folder, configFile)
  const { base_model_name_or_path: name, revision } = await readJson(file, peftConfigSchema)
  if (hubName.safeParse(name).success && typeof name === 'string')
    return { kind: 'model', repo: name, revision: revision ?? 'main' }
  throw new LabError('BAD_MODEL', `${repo} lies on "${name}", which is no model of a hub`, {
    hint: `download it, write the path of its model into "base_model_name_or_path" of ${configFile}, and name that folder (folder: PATH)`,
  })
}

/** A folder with the adapter's files, whose configuration names the model where it lies on this machine. */
async function onOneAnother(adapter: string, below: string, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  for (const name of await readdir(adapter)) {
    if (name === configFile || name.endsWith('.part')) continue
    await symlink(relative(folder, join(adapter, name)), join(folder, name)).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      },
    )
  }
  const config = await readJson(join(adapter, configFile), peftConfigSchema)
  const written = join(folder, `${configFile}.${process.pid}`)
  const path = relative(folder, below).replaceAll('\\', '/')
  try {
    await writeFile(written, `${JSON.stringify({ ...config, base_model_name_or_path: path }, null, 2)}\n`)
    await rename(written, join(folder, configFile))
  } finally {
    await rm(written, { force: true })
  }
  return folder
}
