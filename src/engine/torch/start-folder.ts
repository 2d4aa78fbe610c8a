/** What a training starts from, as a folder: fresh weights are made here, the same as the embedded engine's, and written as a model. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeModelFolder } from '../../model/folder.ts'
import type { TrainJob } from '../engine.ts'
import { initialWeights } from '../init-weights.ts'

/** As JOB.json has it. */
export interface StartFolder {
  readonly folder: string
  /** What adapters call it. */
  readonly name: string | null
  /** Of the first values of adapters. */
  readonly seed: number
}

/** Writes nothing where the same weights are there from an earlier process. */
export async function startFolder({ start, workDir, tokenizerDir }: TrainJob): Promise<StartFolder> {
  if (start.from === 'folder') {
    return { folder: start.folder, name: start.name ?? null, seed: start.seed ?? 0 }
  }
  const { config, seed } = start
  const folder = join(workDir, 'start')
  const written = join(workDir, 'start.json')
  const says = JSON.stringify({ config, seed })
  const said = await readFile(written, 'utf8').catch(() => null)
  if (said !== says) {
    await rm(written, { force: true })
    await writeModelFolder(folder, { config, weights: initialWeights(config, seed), tokenizerDir })
    await writeFile(written, says)
  }
  return { folder, name: null, seed }
}
