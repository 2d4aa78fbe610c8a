/** Writes a file that the user named: whole or not at all where it is a file, straight through where it is a pipe or a device. */
import { rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { LabError, messageOf } from '../errors.ts'
import { followLinks } from '../output-path.ts'

/**
 * A file, or what a link leads to, is replaced by one that was written beside it. Names that end in `.gz` hold gzip, the same
 * bytes for the same text. Throws BAD_INPUT.
 */
export async function writeWhole(file: string, text: string): Promise<void> {
  const content = /\.gz$/iu.test(file) ? gzip(text) : text
  try {
    const found = await statOf(file)
    if (found === null || found.isFile()) await replace(await followLinks(file), content)
    else await writeFile(file, content)
  } catch (cause) {
    if (cause instanceof LabError) throw cause
    throw new LabError('BAD_INPUT', `${file} cannot be written: ${messageOf(cause)}`, { cause })
  }
}

/** Throws BAD_INPUT where `out` is one of the files that are read, under whatever name. */
export async function refuseOwnInput(out: string, inputs: readonly string[]): Promise<void> {
  const target = await statOf(out)
  if (target === null) return
  for (const input of inputs) {
    const found = await statOf(input)
    if (found === null || found.dev !== target.dev || found.ino !== target.ino) continue
    throw new LabError(
      'BAD_INPUT',
      `${out} is ${out === input ? '' : `${input}, `}one of the files that are read`,
      {
        hint: 'name another file with --out',
      },
    )
  }
}

async function replace(file: string, content: string | Uint8Array): Promise<void> {
  const partial = join(dirname(file), `.${basename(file)}.${process.pid}`)
  try {
    await writeFile(partial, content)
    await rename(partial, file)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}

/** Of what links lead to; null where nothing is there, or nothing that may be looked at. File numbers are too long for a double. */
const statOf = (path: string) => stat(path, { bigint: true }).catch(() => null)

/** The header names no system: otherwise each has a byte of its own. */
function gzip(text: string): Uint8Array {
  const bytes = gzipSync(text)
  bytes[9] = 255
  return bytes
}
