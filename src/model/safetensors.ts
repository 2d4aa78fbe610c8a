/** The safetensors file format: reads f32, f16 and bf16 tensors as Float32Array, writes f32 with the same bytes every time. */
import { type FileHandle, open } from 'node:fs/promises'
import { z } from 'zod'
import { LabError, messageOf } from '../errors.ts'
import { checkFile, fileProblem, firstLine, parseShallowJson } from './json-file.ts'
import { bfloat16ToFloat32, float16ToFloat32 } from './half.ts'

export interface Tensor {
  readonly shape: readonly number[]
  /** Row-major. */
  readonly data: Float32Array
}

export interface NamedTensor extends Tensor {
  readonly name: string
}

const bytesPerElement = { F32: 4, F16: 2, BF16: 2 } as const
type Dtype = keyof typeof bytesPerElement

function isDtype(name: string): name is Dtype {
  return Object.hasOwn(bytesPerElement, name)
}

/** Where one tensor lies in its file. */
export interface TensorEntry {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly elements: number
  /** First byte, counted from the start of the file. */
  readonly position: number
}

/** A validated header; `entries` keeps the order of the header. */
export interface SafetensorsHeader {
  readonly file: string
  readonly entries: ReadonlyMap<string, TensorEntry>
  readonly metadata: Readonly<Record<string, string>>
}

/** Room for 15,000 tensors; a shard of the largest models read here holds fewer than 2,000. (The reference implementation stops at 100 MB.) */
const maxHeaderBytes = 2 * 2 ** 20

const entrySchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
})
const metadataSchema = z.record(z.string(), z.string())

function damaged(file: string, what: string, cause?: unknown): LabError {
  return new LabError('BAD_MODEL', `${file}: ${what}`, { cause })
}

/** One call of the operating system reads less than 2 GiB. */
const longestRead = 2 ** 30

/** Fills `into` from `position`; a file that ends early is an error. */
async function readFully(
  handle: FileHandle,
  file: string,
  into: Uint8Array,
  position: number,
): Promise<void> {
  let done = 0
  while (done < into.byteLength) {
    const { bytesRead } = await handle.read(
      into,
      done,
      Math.min(into.byteLength - done, longestRead),
      position + done,
    )
    if (bytesRead === 0) throw damaged(file, `ends at byte ${position + done}, before its data does`)
    done += bytesRead
  }
}

function parseEntry(
  file: string,
  name: string,
  value: unknown,
  dataStart: number,
): TensorEntry & { end: number } {
  const parsed = entrySchema.safeParse(value)
  if (!parsed.success) throw damaged(file, `the header's entry of tensor "${name}" is malformed`)
  const { dtype, shape, data_offsets: offsets } = parsed.data
  if (!isDtype(dtype)) throw damaged(file, `tensor "${name}" has dtype ${dtype}; F32, F16 and BF16 are read`)
  const elements = shape.reduce((a, b) => a * b, 1)
  const [begin, end] = offsets
  const expected = elements * bytesPerElement[dtype]
  if (end - begin !== expected) {
    throw damaged(
      file,
      `tensor "${name}" is ${dtype} [${shape.join(', ')}] = ${expected} bytes, but holds ${end - begin}`,
    )
  }
  return { dtype, shape, elements, position: dataStart + begin, end: dataStart + end }
}

/** Tensors must lie one after the other with no overlap and no gap, up to the last byte of the file. */
function checkLayout(
  file: string,
  entries: readonly [string, TensorEntry & { end: number }][],
  dataStart: number,
  size: number,
): void {
  const ordered = entries.toSorted(([, a], [, b]) => a.position - b.position || a.end - b.end)
  let expected = dataStart
  for (const [name, { position, end }] of ordered) {
    if (end > size)
      throw damaged(file, `tensor "${name}" ends at byte ${end}, but the file has ${size}: it is cut short`)
    if (position < expected) throw damaged(file, `tensor "${name}" overlaps another tensor`)
    if (position > expected)
      throw damaged(file, `${position - expected} bytes before tensor "${name}" belong to no tensor`)
    expected = end
  }
  if (expected !== size) throw damaged(file, `${size - expected} bytes at its end belong to no tensor`)
}

async function readHeader(handle: FileHandle, file: string): Promise<SafetensorsHeader> {
  const { size } = await handle.stat()
  if (size < 10) throw damaged(file, `is not a safetensors file: it has ${size} bytes`)
  const prefix = new Uint8Array(8)
  await readFully(handle, file, prefix, 0)
  const declared = new DataView(prefix.buffer).getBigUint64(0, true)
  if (declared <= size - 8 && declared > maxHeaderBytes)
    throw damaged(file, `has a header of ${declared} bytes, at most ${maxHeaderBytes} are read`)
  if (declared > size - 8) {
    throw damaged(
      file,
      `declares a header of ${declared} bytes, but has ${size}: it is not a safetensors file, or cut short`,
    )
  }
  const bytes = new Uint8Array(Number(declared))
  await readFully(handle, file, bytes, 8)

  let json: unknown
  try {
    json = parseShallowJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw damaged(file, `its header is not JSON (${firstLine(messageOf(error))})`, error)
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw damaged(file, 'its header is not a JSON object')

  const dataStart = 8 + bytes.byteLength
  const fields = Object.entries(json)
  const entries = fields
    .filter(([name]) => name !== '__metadata__')
    .map(
      ([name, value]) =>
        [name, parseEntry(file, name, value, dataStart)] as [string, TensorEntry & { end: number }],
    )
  checkLayout(file, entries, dataStart, size)

  const metadata = metadataSchema.safeParse(fields.find(([name]) => name === '__metadata__')?.[1] ?? {})
  if (!metadata.success) throw damaged(file, 'its __metadata__ is not a map of strings')
  return { file, entries: new Map(entries), metadata: metadata.data }
}

/** 16-bit values are widened in pieces of so many elements, so that no second copy of a tensor is held. */
const pieceElements = 2 ** 20

/** Fills `into` with the tensor's values as f32, beginning with element `from`. */
async function readEntry(
  handle: FileHandle,
  file: string,
  entry: TensorEntry,
  { into, from }: { readonly into: Float32Array; readonly from: number },
): Promise<void> {
  const position = entry.position + from * bytesPerElement[entry.dtype]
  if (entry.dtype === 'F32') {
    await readFully(handle, file, new Uint8Array(into.buffer, into.byteOffset, into.byteLength), position)
    return
  }
  const convert = entry.dtype === 'F16' ? float16ToFloat32 : bfloat16ToFloat32
  const piece = new Uint16Array(Math.min(pieceElements, into.length))
  for (let done = 0; done < into.length; done += piece.length) {
    const bits = piece.subarray(0, into.length - done)
    await readFully(
      handle,
      file,
      new Uint8Array(bits.buffer, 0, bits.byteLength),
      position + done * bits.BYTES_PER_ELEMENT,
    )
    convert(bits, into.subarray(done, done + bits.length))
  }
}

/** An open file: read the header once, then tensors one by one into memory of the caller's. */
export interface SafetensorsReader extends AsyncDisposable {
  readonly header: SafetensorsHeader
  /** Fills `into` with the tensor's elements from number `from` on (default 0). Throws BAD_MODEL if there is no such tensor. */
  read(name: string, into: Float32Array, from?: number): Promise<void>
}

/** Opens and validates a safetensors file. Throws BAD_MODEL with the file's name. */
export async function openSafetensors(file: string): Promise<SafetensorsReader> {
  await checkFile(file)
  const handle = await open(file).catch((error: unknown) => {
    throw fileProblem(file, error)
  })
  try {
    const header = await readHeader(handle, file)
    return {
      header,
      read: async (name, into, from = 0) => {
        const entry = header.entries.get(name)
        if (entry === undefined) throw damaged(file, `has no tensor "${name}"`)
        if (from + into.length > entry.elements) {
          throw new LabError(
            'INTERNAL',
            `${file}: tensor "${name}" has ${entry.elements} elements, not ${from + into.length}`,
          )
        }
        await readEntry(handle, file, entry, { into, from })
      },
      [Symbol.asyncDispose]: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error instanceof LabError ? error : fileProblem(file, error)
  }
}

export interface SafetensorsContent {
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly metadata: Readonly<Record<string, string>>
}

/** Reads every tensor of one file. Throws BAD_MODEL. */
export async function readSafetensors(file: string): Promise<SafetensorsContent> {
  await using reader = await openSafetensors(file)
  const tensors = new Map<string, Tensor>()
  for (const [name, { shape, elements }] of reader.header.entries) {
    const data = new Float32Array(elements)
    await reader.read(name, data)
    tensors.set(name, { shape, data })
  }
  return { tensors, metadata: reader.header.metadata }
}

/** Writes f32 tensors in the given order after a header padded to 8 bytes; the same input gives the same bytes. */
export async function writeSafetensors(
  file: string,
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const fields = new Map<string, unknown>()
  if (Object.keys(metadata).length > 0) fields.set('__metadata__', metadata)
  let end = 0
  for (const { name, shape, data } of tensors) {
    if (fields.has(name) || name === '__metadata__')
      throw new LabError('INTERNAL', `tensor name "${name}" is taken`)
    if (shape.reduce((a, b) => a * b, 1) !== data.length) {
      throw new LabError('INTERNAL', `tensor "${name}" [${shape.join(', ')}] has ${data.length} elements`)
    }
    fields.set(name, { dtype: 'F32', shape, data_offsets: [end, end + data.byteLength] })
    end += data.byteLength
  }
  // Not an object literal: JavaScript would move names that look like integers to the front.
  const json = `{${[...fields].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`
  const text = new TextEncoder().encode(json)
  const headerBytes = Math.ceil(text.byteLength / 8) * 8
  const head = new Uint8Array(8 + headerBytes).fill(0x20)
  new DataView(head.buffer).setBigUint64(0, BigInt(headerBytes), true)
  head.set(text, 8)

  await using handle = await open(file, 'w')
  await handle.writeFile(head)
  for (const { data } of tensors) {
    await handle.writeFile(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }
}
