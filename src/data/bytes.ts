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
    const head = Buffer.alloc(4)
    await handle.read(head, 0, 4, 0)
    const gzip = head[0] === 0x1f && head[1] === 0x8b
    if (!gzip && file.toLowerCase().endsWith('.gz')) {
      throw new LabError('BAD_INPUT', `${file} is named .gz but holds no gzip data`, {
        hint: 'rename it, or fetch it again',
      })
    }
    const other = others.find(({ magic }) => head.subarray(0, magic.length).equals(magic))
    if (other) throw new LabError('BAD_INPUT', `${file} is ${other.what}`, { hint: other.hint })
    return gzip
  } finally {
    await handle.close()
  }
}

/** What is met under the name of a JSON file, by its first bytes. */
const others = [
  { magic: [0x50, 0x41, 0x52, 0x31], what: 'a Parquet file', hint: 'name it .parquet' },
  { magic: [0x50, 0x4b, 3, 4], what: 'a zip archive', hint: 'unpack it first' },
  {
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    what: 'compressed with zstd',
    hint: 'unpack it, or compress it with gzip',
  },
  { magic: [0xff, 0xfe], what: 'UTF-16 text', hint: 'save it as UTF-8' },
  { magic: [0xfe, 0xff], what: 'UTF-16 text', hint: 'save it as UTF-8' },
].map(({ magic, ...rest }) => ({ magic: Buffer.from(magic), ...rest }))

/** What the file system or zlib said, as BAD_INPUT where it is the file's fault. */
export function readError(file: string, error: unknown): unknown {
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
