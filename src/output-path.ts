/** Where a named output really goes: links are followed, folders are made, and what refuses one is told. */
import { mkdir, readlink, realpath, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { LabError } from './errors.ts'

/** Linux follows as many. */
const mostLinks = 40

/** The path behind symbolic links, whether something is there or not. Throws BAD_INPUT for links in a circle. */
export async function followLinks(path: string): Promise<string> {
  let target = resolve(path)
  for (let links = 0; links < mostLinks; links++) {
    const found = await realpath(target).catch(() => null)
    if (found !== null) return found
    const link = await readlink(target).catch(() => null)
    if (link === null) return target
    target = resolve(dirname(target), link)
  }
  throw new LabError('BAD_INPUT', `${path} is a symbolic link that leads nowhere`)
}

/** `mkdir -p`. Throws what the disk says: with `recursive`, Node tells ENOENT of a disk that is read-only. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'ENOENT') throw error
    await mkdir(await firstMissing(resolve(folder)))
    await mkdir(folder, { recursive: true })
  }
}

/** The uppermost folder of a path that is not there. */
async function firstMissing(path: string): Promise<string> {
  const parent = dirname(path)
  const there = await stat(parent).then(
    () => true,
    () => false,
  )
  return there || parent === path ? path : firstMissing(parent)
}
