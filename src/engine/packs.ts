/** The packs file: what a training reads, fixed-size packs of tokens with their documents and targets, one after another. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { LabError } from '../errors.ts'

/** `contextLength` (T) tokens of whole documents, the rest is padding. */
export interface Pack {
  /** [T] token ids; padding is 0. */
  readonly tokens: Int32Array
  /** [T] number of the document inside the pack, -1 for padding. Attention never crosses documents; positions restart at 0. */
  readonly documents: Int32Array
  /** [T] the next token of the same document where it is scored, else -1. */
  readonly targets: Int32Array
}

export interface PacksReader {
  readonly count: number
  readonly contextLength: number
  /** Pack i, from 0. Throws ENGINE past the end. */
  read(index: number): Pack
  close(): void
}

/** Little endian: magic "SLPACKS1", contextLength u32, count u32, then a pack's tokens, documents, targets as int32. */
const MAGIC = Buffer.from('SLPACKS1', 'latin1')
const HEADER_BYTES = 16
const MAX_CONTEXT_LENGTH = 1 << 20
const WRITE_BYTES = 1 << 20

/** Writes the file from the start. Throws ENGINE if a pack does not keep the rules above. */
export async function writePacks(
  file: string,
  packs: Iterable<Pack>,
  { contextLength }: { readonly contextLength: number },
): Promise<{ readonly count: number }> {
  const handle = await open(file, 'w')
  try {
    await handle.write(header(contextLength, 0))
    let count = 0
    const entries = 3 * contextLength
    // Written several at a time: a write a pack takes longer than making it.
    const several = Math.max(1, Math.floor(WRITE_BYTES / (4 * entries)))
    const records = new Int32Array(several * entries)
    for (const pack of packs) {
      checkPack(pack, contextLength, count)
      const at = (count % several) * entries
      records.set(pack.tokens, at)
      records.set(pack.documents, at + contextLength)
      records.set(pack.targets, at + 2 * contextLength)
      count++
      if (count % several === 0) await handle.writeFile(new Uint8Array(records.buffer))
    }
    await handle.writeFile(new Uint8Array(records.buffer, 0, 4 * (count % several) * entries))
    await handle.write(header(contextLength, count), 0, HEADER_BYTES, 0)
    await handle.sync()
    return { count }
  } finally {
    await handle.close()
  }
}

/** Opens a packs file for reading. Throws ENGINE if it is not a whole one. */
export function openPacks(file: string): PacksReader {
  const fd = openFile(file)
  try {
    const head = Buffer.alloc(HEADER_BYTES)
    const headBytes = readSync(fd, head, 0, HEADER_BYTES, 0)
    if (headBytes < HEADER_BYTES || !head.subarray(0, MAGIC.length).equals(MAGIC)) {
      throw new LabError('ENGINE', `${file} is not a packs file`)
    }
    const contextLength = head.readUInt32LE(8)
    const count = head.readUInt32LE(12)
    const recordBytes = 3 * 4 * contextLength
    const size = fstatSync(fd).size
    if (size !== HEADER_BYTES + count * recordBytes) {
      throw new LabError('ENGINE', `${file} is cut short or damaged: ${size} bytes for ${count} packs`)
    }
    const read = (index: number): Pack => {
      if (!(index >= 0 && index < count)) {
        throw new LabError('ENGINE', `${file} has ${count} packs; pack ${index} was asked for`)
      }
      const record = new Int32Array(3 * contextLength)
      readFully(fd, new Uint8Array(record.buffer), HEADER_BYTES + index * recordBytes, file)
      return {
        tokens: record.subarray(0, contextLength),
        documents: record.subarray(contextLength, 2 * contextLength),
        targets: record.subarray(2 * contextLength),
      }
    }
    return { count, contextLength, read, close: () => closeSync(fd) }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function openFile(file: string): number {
  try {
    return openSync(file, 'r')
  } catch (error) {
    throw new LabError('ENGINE', `cannot open the packs file ${file}`, { cause: error })
  }
}

function readFully(fd: number, into: Uint8Array, position: number, file: string): void {
  let done = 0
  while (done < into.length) {
    const bytes = readSync(fd, into, done, into.length - done, position + done)
    if (bytes === 0) throw new LabError('ENGINE', `${file} ended while it was read`)
    done += bytes
  }
}

function header(contextLength: number, count: number): Buffer {
  if (!Number.isInteger(contextLength) || contextLength < 1 || contextLength > MAX_CONTEXT_LENGTH) {
    throw new LabError('ENGINE', `a context length of ${contextLength} tokens is not possible`)
  }
  const head = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(head)
  head.writeUInt32LE(contextLength, 8)
  head.writeUInt32LE(count, 12)
  return head
}

/** Documents must be contiguous runs, each number used once: positions are derived from them. */
function checkPack({ tokens, documents, targets }: Pack, contextLength: number, index: number): void {
  const wrong = (what: string): LabError => new LabError('ENGINE', `pack ${index}: ${what}`)
  for (const array of [tokens, documents, targets]) {
    if (array.length !== contextLength) throw wrong(`${array.length} entries instead of ${contextLength}`)
  }
  const seen = new Set<number>()
  let previous = -1
  for (let t = 0; t < contextLength; t++) {
    const document = documents[t] as number
    if ((tokens[t] as number) < 0) throw wrong(`token ${t} is negative`)
    if (document < 0 && (targets[t] as number) >= 0) throw wrong(`padding at ${t} is scored`)
    if (document !== previous) {
      if (document >= 0 && seen.has(document)) throw wrong(`document ${document} is in two pieces`)
      seen.add(document)
      previous = document
    }
  }
}
