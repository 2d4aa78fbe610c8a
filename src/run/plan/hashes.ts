/** Content hash of a model folder that an experiment names. */
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { partsOf } from '../../model/weights-of.ts'
import { knownHash } from '../../store/file-hashes.ts'

/** One hash over the files that decide what a folder computes: a model's, and those of the adapters that lie on it; `store` keeps those of large files. */
export async function hashModelFolder(store: string, folder: string): Promise<string> {
  const { base, adapters } = await partsOf(folder)
  const hash = createHash('sha256')
  for (const part of [base, ...adapters]) {
    const names = (await readdir(part)).filter((name) => /\.(json|safetensors|jinja)$/.test(name)).sort()
    for (const name of names) hash.update(`${name} ${await knownHash(store, join(part, name))}\n`)
  }
  return hash.digest('hex')
}
