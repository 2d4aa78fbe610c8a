/** Merges an adapter into its model: a folder that needs neither. */
import { readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { loadKernels } from '../engine/embedded/kernels.ts'
import { readMergedWeights } from '../engine/embedded/merged-weights.ts'
import { LabError } from '../errors.ts'
import { writeModelFolder } from '../model/folder.ts'
import { partsOf, tokenizerFolderOf } from '../model/weights-of.ts'
import { followLinks, makeFolder } from '../output-path.ts'

/** Writes the model into `out`, which must not exist or be empty. Throws BAD_MODEL, or BAD_INPUT where nothing is to be merged. */
export async function mergeInto(folder: string, out: string): Promise<void> {
  const parts = await partsOf(folder)
  if (parts.adapters.length === 0)
    throw new LabError('BAD_INPUT', `${folder} is a whole model already: it has no adapter_config.json`)
  const target = await followLinks(out)
  if ((await namesIn(target, out)).length > 0)
    throw new LabError('BAD_INPUT', `${out} is not empty`, { hint: 'Name a new folder with --out.' })
  const weights = await readMergedWeights(loadKernels(), parts)
  const tokenizerDir = await tokenizerFolderOf(parts)
  // Complete before it has its name.
  const temporary = join(dirname(target), `.writing-${basename(target)}`)
  await rm(temporary, { recursive: true, force: true })
  await makeFolder(temporary)
  await writeModelFolder(temporary, { config: parts.config, weights, tokenizerDir })
  await rm(target, { recursive: true, force: true })
  await rename(temporary, target)
}

/** None where there is no such folder; a file in its place is not ours to remove. */
async function namesIn(target: string, out: string): Promise<string[]> {
  return readdir(target).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT') return []
    const what = code === 'ENOTDIR' ? 'is a file, not a folder' : 'cannot be read'
    throw new LabError('BAD_INPUT', `${out} ${what}`, { hint: 'Name a new folder with --out.', cause: error })
  })
}
