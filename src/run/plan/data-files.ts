/** The data files that an experiment names, each opened once, and none under two names. */
import { existsSync } from 'node:fs'
import { LabError } from '../../errors.ts'
import { filesOf } from '../../shards.ts'
import { dataOfCell } from '../../spec/cell-data.ts'
import { type DataSource, sourceName } from '../../spec/data-source.ts'
import type { Cell, Experiment, PromptSource } from '../../spec/experiment.ts'
import { type DataFile, openDataFile } from '../data-file.ts'
import { type HubRead, HubSilence } from '../hub/client.ts'
import type { HubSources } from './given.ts'
import { publicSources } from './public-items.ts'
import { unseenHash } from './unseen.ts'

/** The file of a source that the experiment names. */
export type DataFiles = (source: DataSource) => DataFile

/** Opens every file of prompts or items of the cells and evals; one that a plan goes on without has no parts. Tells what it reads of a hub. Throws BAD_INPUT for one that cannot be had, BAD_SPEC for copies. */
export async function openDataFiles(
  experiment: Experiment,
  cells: readonly Cell[],
  sources: HubSources,
  read: (found: HubRead) => void,
): Promise<DataFiles> {
  const files = new Map<string, DataFile>()
  const open = async (named: readonly DataSource[], download: boolean): Promise<void> => {
    for (const source of named) {
      const name = sourceName(source)
      if (files.has(name)) continue
      const found = await openOrPass(source, download, sources)
      files.set(name, found)
      if (found.hub !== undefined) read(found.hub)
    }
  }
  // A plan counts the items of evals; prompts it only hashes.
  await open(Object.values(publicSources(experiment.evals)), true)
  await open(promptsOf(experiment, cells), sources.data)
  refuseCopies(files)
  return (source) => {
    const found = files.get(sourceName(source))
    if (found === undefined) throw new RangeError(`the data file ${sourceName(source)} was not opened`)
    return found
  }
}

async function openOrPass(source: DataSource, download: boolean, sources: HubSources): Promise<DataFile> {
  const { store, signal, downloading, unseen } = sources
  try {
    return await openDataFile(source, { store, download, signal, downloading })
  } catch (error) {
    const silent = error instanceof HubSilence || (source.kind === 'file' && (await isAbsent(source.file)))
    if (!silent || unseen === undefined) throw error
    const name = sourceName(source)
    unseen({ kind: 'data', source: name, why: error instanceof HubSilence ? error.reason : 'no such file' })
    return { file: name, sha256: unseenHash(name), parts: [] }
  }
}

/** Nothing lies there: neither the file nor a shard. */
async function isAbsent(file: string): Promise<boolean> {
  const parts = await filesOf(file).catch(() => [])
  return parts.every((part) => !existsSync(part))
}

function promptsOf({ evals }: Experiment, cells: readonly Cell[]): DataSource[] {
  const prompts: PromptSource[] = [evals.backdoor.prompts]
  for (const cell of cells) for (const data of dataOfCell(cell)) prompts.push(data.prompts)
  return prompts.flatMap((source) => (source.kind === 'tiny' ? [] : [source]))
}

/** That rows of evals and trainings do not overlap is checked a source at a time: one content must have one name. */
function refuseCopies(files: ReadonlyMap<string, DataFile>): void {
  const names = new Map<string, string>()
  for (const [name, { parts }] of files) {
    for (const part of parts) {
      const other = names.get(part) ?? name
      if (other !== name) {
        throw new LabError('BAD_SPEC', `${other} and ${name} have the same content`, {
          hint: 'use one name for both, so that overlapping prompts are found',
        })
      }
      names.set(part, name)
    }
  }
}
