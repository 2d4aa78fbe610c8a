/** A `*` in a file's name: the shards of one set, read as one file in the order of their names. */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { LabError } from './errors.ts'

/** Whether the name (not the folder) has a `*`. */
export const isPattern = (path: string): boolean => basename(path).includes('*')

/** Whether a path fits a pattern; `*` stands for any characters of one name. */
export function fits(pattern: string, path: string): boolean {
  const literal = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`))
  return new RegExp(`^${literal.join('[^/]*')}$`, 's').test(path)
}

/** The file itself, or those that a pattern fits, by name. Throws BAD_INPUT where none does. */
export async function filesOf(path: string): Promise<string[]> {
  if (!isPattern(path) || (await isFile(path))) return [path]
  const names = await readdir(dirname(path)).catch(() => [])
  const fitting = names.filter((name) => fits(basename(path), name)).sort()
  const files: string[] = []
  for (const name of fitting)
    if (await isFile(join(dirname(path), name))) files.push(join(dirname(path), name))
  if (files.length > 0) return files
  throw new LabError('BAD_INPUT', `${path}: no file has such a name`, {
    hint: '`*` stands for any characters of the name; folders are written out',
  })
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}
