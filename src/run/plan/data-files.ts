/** The data files that an experiment names, each opened once, and none under two names. */
import { LabError } from '../../errors.ts'
import { dataOfCell } from '../../spec/cell-data.ts'
import { type DataSource, sourceName } from '../../spec/data-source.ts'
import type { Cell, Experiment, PromptSource } from '../../spec/experiment.ts'
import { type DataFile, openDataFile } from '../data-file.ts'
import type { HubSources } from './given.ts'
import { publicSources } from './public-items.ts'

/** The file of a source that the experiment names. */
export type DataFiles = (source: DataSource) => DataFile

/** Opens every file of prompts or items of the cells and evals. Throws BAD_INPUT for one that cannot be had, BAD_SPEC for copies. */
export async function openDataFiles(
  experiment: Experiment,
  cells: readonly Cell[],
  { store, data: download, signal, downloading }: HubSources,
): Promise<DataFiles> {
  const files = new Map<string, DataFile>()
  const open = async (sources: readonly DataSource[], download: boolean): Promise<void> => {
    for (const source of sources) {
      const name = sourceName(source)
      if (!files.has(name))
        files.set(name, await openDataFile(source, { store, download, signal, downloading }))
    }
  }
  // A plan counts the items of evals; prompts it only hashes.
  await open(Object.values(publicSources(experiment.evals)), true)
  await open(promptsOf(experiment, cells), download)
  refuseCopies(files)
  return (source) => {
    const found = files.get(sourceName(source))
    if (found === undefined) throw new RangeError(`the data file ${sourceName(source)} was not opened`)
    return found
  }
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
