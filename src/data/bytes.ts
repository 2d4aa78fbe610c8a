/** Opens a data file as a stream of bytes: gzip is seen by its first bytes, a byte-order mark is left out. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { LabError, messageOf } from '../errors.ts'

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

/** The file's bytes, decompressed. Throws BAD_INPUT for a file that cannot be read and for broken gzip data. */
export async function* readBytes(file: string): AsyncGenerator<Buffer> {
  try {
    let first = true
    for await (const chunk of (await isGzip(file)) ? gunzipped(file) : createReadStream(file)) {
      const bytes = chunk as Buffer
      yield first && bytes.subarray(0, 3).equals(byteOrderMark) ? bytes.subarray(3) : bytes
      first = false
    }
  } catch (error) {
    throw readError(file, error)
  }
}

function gunzipped(file: string): AsyncIterable<unknown> {
  // The callback is required; a failure of either stream reaches the reader of the last one.
  return pipeline(createReadStream(file), createGunzip(), () => undefined)
}

async function isGzip(file: string): Promise<boolean> {
  const handle = await open(file)
  try {
    const head = Buffer.alloc(2)
    await handle.read(head, 0, 2, 0)
    const gzip = head[0] === 0x1f && head[1] === 0x8b
    if (!gzip && file.endsWith('.gz')) {
      throw new LabError('BAD_INPUT', `${file} is named .gz but holds no gzip data`, {
        hint: 'rename it, or fetch it again',
      })
    }
    return gzip
  } finally {
    await handle.close()
  }
}

function readError(file: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ENOENT') return new LabError('BAD_INPUT', `${file} does not exist`, { cause: error })
  if (code === 'EISDIR') {
    return new LabError('BAD_INPUT', `${file} is a folder; a file of rows was expected`, { cause: error })
  }
  if (code === 'EACCES') return new LabError('BAD_INPUT', `${file} may not be read`, { cause: error })
  if (code.startsWith('Z_')) {
    return new LabError('BAD_INPUT', `${file}: broken gzip data (${messageOf(error)})`, {
      hint: 'the file is damaged or was not fetched whole; fetch it again',
      cause: error,
    })
  }
  return error
}
