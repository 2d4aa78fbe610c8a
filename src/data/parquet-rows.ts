/** Reads the rows of a Parquet file one row group at a time, as the plain JSON values that a JSON Lines file would hold. */
import { open, type FileHandle } from 'node:fs/promises'
import { parquetMetadataAsync, parquetReadObjects, type AsyncBuffer, type FileMetaData } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { LabError, messageOf } from '../errors.ts'
import { readError } from './bytes.ts'
import type { JsonRow } from './rows.ts'

/** Every row of `file`. Memory holds one row group. Throws BAD_INPUT; what is wrong with a row names the row. */
export async function* readParquetRows(file: string): AsyncGenerator<JsonRow> {
  const { handle, buffer } = await openFile(file)
  try {
    const metadata = await readMetadata(file, buffer)
    let from = 0
    for (const group of metadata.row_groups) {
      const count = Number(group.num_rows)
      const rows = await readGroup(file, buffer, metadata, [from, from + count])
      for (const [i, value] of rows.entries()) {
        const row = from + i
        yield { row, value: plain(value), at: { file, row } }
      }
      from += count
    }
  } finally {
    await handle.close()
  }
}

async function openFile(file: string): Promise<{ handle: FileHandle; buffer: AsyncBuffer }> {
  let handle: FileHandle | undefined
  try {
    handle = await open(file)
    const opened = handle
    const { size: byteLength } = await opened.stat()
    await opened.read(Buffer.alloc(1), 0, 1, 0) // a folder opens, but cannot be read
    const read = async (start: number, end: number): Promise<ArrayBuffer> => {
      const bytes = new Uint8Array(end - start)
      const { bytesRead } = await opened.read(bytes, 0, bytes.length, start)
      if (bytesRead < bytes.length) throw new Error(`it ends before byte ${end}`)
      return bytes.buffer
    }
    const slice: AsyncBuffer['slice'] = (start, end = byteLength) => {
      const bytes = read(start, end)
      // The library reads ahead: of a damaged file it may never ask for what failed, which must not end the process.
      bytes.catch(() => undefined)
      return bytes
    }
    return { handle, buffer: { byteLength, slice } }
  } catch (error) {
    await handle?.close()
    throw readError(file, error)
  }
}

async function readMetadata(file: string, buffer: AsyncBuffer): Promise<FileMetaData> {
  if (buffer.byteLength === 0)
    throw new LabError('BAD_INPUT', `${file} holds no rows`, { hint: 'the file is empty' })
  try {
    const metadata = await parquetMetadataAsync(buffer)
    const fault = faultOf(metadata, buffer.byteLength)
    if (fault === null) return metadata
    throw damaged(`${file}: ${fault}`)
  } catch (error) {
    throw error instanceof LabError ? error : damaged(`${file} is not a whole Parquet file`, error)
  }
}

/** What a damaged footer says that cannot be. */
function faultOf({ row_groups: groups, num_rows: total }: FileMetaData, size: number): string | null {
  const counted = groups.reduce((sum, { num_rows }) => sum + num_rows, 0n)
  const possible = total <= Number.MAX_SAFE_INTEGER && groups.every(({ num_rows }) => num_rows >= 0n)
  if (counted !== total || !possible) return `its footer names ${total} rows, its row groups ${counted}`
  const past = groups.some(({ columns }) =>
    columns.some(({ meta_data: column }) => {
      const start = Number(column?.dictionary_page_offset ?? column?.data_page_offset ?? 0)
      return !(start >= 0 && start + Number(column?.total_compressed_size ?? 0) <= size)
    }),
  )
  return past ? 'its footer names data past its end' : null
}

async function readGroup(
  file: string,
  buffer: AsyncBuffer,
  metadata: FileMetaData,
  [rowStart, rowEnd]: readonly [number, number],
): Promise<readonly unknown[]> {
  const where = `${file}: rows ${rowStart} to ${rowEnd - 1} cannot be read`
  let rows: readonly unknown[]
  try {
    rows = await parquetReadObjects({ file: buffer, metadata, compressors, rowStart, rowEnd })
  } catch (error) {
    throw damaged(where, error)
  }
  if (rows.length !== rowEnd - rowStart) throw damaged(`${where}: ${rows.length} of them are there`)
  return rows
}

function damaged(what: string, cause?: unknown): LabError {
  const why = cause === undefined ? '' : ` (${messageOf(cause).split('\n')[0]})`
  return new LabError('BAD_INPUT', what + why, {
    hint: 'the file is damaged or was not fetched whole; fetch it again',
    ...(cause === undefined ? {} : { cause }),
  })
}

/** What JSON has no type for, as JSON files hold it: integers of 64 bits as numbers (as text past 2^53), dates as ISO text. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (Array.isArray(value)) return value.map(plain)
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint8Array, plain)
  if (typeof value !== 'object' || value === null) return value ?? null
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]))
}
