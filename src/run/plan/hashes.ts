/** Content hashes of the files and model folders that an experiment names. */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { LabError, messageOf } from '../../errors.ts'
import { partsOf } from '../../model/weights-of.ts'
import { dataOfCell } from '../../spec/cell-data.ts'
import type { Cell, Experiment, PromptSource } from '../../spec/experiment.ts'
import { hashFile } from '../../store/canonical.ts'

/** sha256 of every prompt file of the cells and evals, by absolute path. Throws BAD_INPUT for one that cannot be read. */
export async function hashFiles(
  experiment: Experiment,
  cells: readonly Cell[],
): Promise<Map<string, string>> {
  const sources: PromptSource[] = [experiment.evals.backdoor.prompts]
  for (const cell of cells) for (const { prompts } of dataOfCell(cell)) sources.push(prompts)
  const files = new Set(sources.flatMap((source) => (source.kind === 'file' ? [source.file] : [])))
  const hashes = new Map<string, string>()
  for (const file of files) {
    try {
      hashes.set(file, await hashFile(file))
    } catch (error) {
      throw new LabError('BAD_INPUT', `cannot read ${file}: ${messageOf(error)}`, {
        hint: 'name the file with --set files.NAME=PATH, or under `files:` in the experiment',
        cause: error,
      })
    }
  }
  refuseCopies(hashes)
  return hashes
}

/** That rows of evals and trainings do not overlap is checked a file at a time: one content must have one name. */
function refuseCopies(hashes: ReadonlyMap<string, string>): void {
  const names = new Map<string, string>()
  for (const [file, hash] of hashes) {
    const other = names.get(hash)
    if (other !== undefined) {
      throw new LabError('BAD_SPEC', `${other} and ${file} have the same content`, {
        hint: 'use one name for both, so that overlapping prompts are found',
      })
    }
    names.set(hash, file)
  }
}

/** One hash over the files that decide what a folder computes: a model's, and those of the adapters that lie on it. */
export async function hashModelFolder(folder: string): Promise<string> {
  const { base, adapters } = await partsOf(folder)
  const hash = createHash('sha256')
  for (const part of [base, ...adapters]) {
    const names = (await readdir(part)).filter((name) => /\.(json|safetensors|jinja)$/.test(name)).sort()
    for (const name of names) hash.update(`${name} ${await hashFile(join(part, name))}\n`)
  }
  return hash.digest('hex')
}
