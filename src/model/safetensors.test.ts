/** Round trips, 16-bit formats and refusals of the safetensors reader. */
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bfloat16ToFloat32, float16ToFloat32 } from './half.ts'
import { openSafetensors, readSafetensors, writeSafetensors } from './safetensors.ts'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'safetensors-'))
})
afterAll(() => rm(dir, { recursive: true }))

/** A file with this header text and so many data bytes. */
async function writeRaw(
  header: string,
  dataBytes: number,
  declared = Buffer.byteLength(header),
): Promise<string> {
  const file = join(dir, 'raw.safetensors')
  const head = Buffer.alloc(8)
  head.writeBigUInt64LE(BigInt(declared))
  await writeFile(file, Buffer.concat([head, Buffer.from(header), Buffer.alloc(dataBytes)]))
  return file
}

const tensor = (name: string) =>
  fc.array(fc.nat(4), { maxLength: 3 }).chain((shape) =>
    fc
      .float32Array({
        minLength: shape.reduce((a, b) => a * b, 1),
        maxLength: shape.reduce((a, b) => a * b, 1),
      })
      .map((data) => ({ name, shape, data })),
  )

test('what is written is read back bit for bit', async () => {
  const names = fc.uniqueArray(
    fc.string({ unit: 'grapheme' }).filter((name) => name !== '__metadata__' && name !== '__proto__'),
    { maxLength: 4 },
  )
  const tensors = names.chain((list) => fc.tuple(...list.map(tensor)))
  await fc.assert(
    fc.asyncProperty(
      tensors,
      fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
      async (list, metadata) => {
        fc.pre(!Object.hasOwn(metadata, '__proto__'))
        const file = join(dir, 'round.safetensors')
        await writeSafetensors(file, list, metadata)
        const read = await readSafetensors(file)
        expect(read.metadata).toEqual(metadata)
        expect(new Set(read.tensors.keys())).toEqual(new Set(list.map(({ name }) => name)))
        for (const { name, shape, data } of list) {
          expect(read.tensors.get(name)!.shape).toEqual(shape)
          expect(Buffer.from(read.tensors.get(name)!.data.buffer)).toEqual(Buffer.from(data.buffer))
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('the header is padded to 8 bytes and the bytes do not change', async () => {
  const file = join(dir, 'exact.safetensors')
  await writeSafetensors(file, [{ name: 'b', shape: [2], data: Float32Array.of(1, -2) }], { format: 'pt' })
  const bytes = await readFile(file)
  const size = Number(bytes.readBigUInt64LE(0))
  expect(size % 8).toBe(0)
  expect(
    bytes
      .subarray(8, 8 + size)
      .toString()
      .trimEnd(),
  ).toBe('{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}')
  expect(bytes.subarray(8 + size)).toEqual(Buffer.from(Float32Array.of(1, -2).buffer))
})

test('float16 equals the platform for all 65,536 patterns', () => {
  const bits = Uint16Array.from({ length: 65_536 }, (_, i) => i)
  const ours = new Float32Array(bits.length)
  float16ToFloat32(bits, ours)
  const view = new DataView(bits.buffer)
  for (const i of bits.keys()) {
    const exact = view.getFloat16(2 * i, true)
    if (!Object.is(ours[i], exact)) expect.fail(`pattern ${i}: ${ours[i]} is not ${exact}`)
  }
})

test.each(['BF16', 'F16'])(
  '%s tensors of several pieces are read whole, and from any element',
  async (dtype) => {
    const elements = 2 ** 21 + 5
    const header = JSON.stringify({ a: { dtype, shape: [elements], data_offsets: [0, 2 * elements] } })
    const file = await writeRaw(header, 0)
    const bits = Uint16Array.from({ length: elements }, (_, i) => (i * 7919) & 0x3fff)
    await appendFile(file, new Uint8Array(bits.buffer))
    const expected = new Float32Array(elements)
    const convert = dtype === 'F16' ? float16ToFloat32 : bfloat16ToFloat32
    convert(bits, expected)
    expect((await readSafetensors(file)).tensors.get('a')?.data).toEqual(expected)
    await using reader = await openSafetensors(file)
    const part = new Float32Array(2 ** 20 + 7)
    await reader.read('a', part, 1_000_001)
    expect(part).toEqual(expected.subarray(1_000_001, 1_000_001 + part.length))
  },
)

test('a header of megabytes is not parsed', async () => {
  const file = await writeRaw(`{"__metadata__":{"a":"${'x'.repeat(3e6)}"}}`, 0)
  await expect(readSafetensors(file)).rejects.toThrow(
    'has a header of 3000025 bytes, at most 2097152 are read',
  )
})

test('bfloat16 is the upper half of an f32', () => {
  const values = Float32Array.of(1, -0, 3.140625, -Infinity, 2 ** -130, 2 ** 127)
  const words = new Uint32Array(values.buffer)
  const ours = new Float32Array(values.length)
  bfloat16ToFloat32(
    Uint16Array.from(words, (w) => w >>> 16),
    ours,
  )
  expect(ours[0]).toBe(1)
  expect(ours[1]).toBe(-0)
  expect(ours[2]).toBe(3.140625)
  expect(ours[3]).toBe(-Infinity)
  expect(ours[4]).toBe(2 ** -130)
  expect(ours[5]).toBe(2 ** 127)
})

const entry = (shape: number[], begin: number, end: number, dtype = 'F32'): string =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] })

test.each([
  ['not JSON', '{"a":', 0, undefined, 'its header is not JSON'],
  ['a list', '[1, 2, 3]', 0, undefined, 'its header is not a JSON object'],
  ['a header longer than the file', '{}', 8, 1e9, 'declares a header of 1000000000 bytes'],
  ['an unknown dtype', `{"a":${entry([1], 0, 1, 'I8')}}`, 1, undefined, 'tensor "a" has dtype I8'],
  ['a wrong size', `{"a":${entry([2, 2], 0, 8)}}`, 8, undefined, 'F32 [2, 2] = 16 bytes, but holds 8'],
  ['offsets backwards', `{"a":${entry([1], 8, 4)}}`, 8, undefined, '= 4 bytes, but holds -4'],
  ['a negative dimension', `{"a":${entry([-1], 0, 4)}}`, 4, undefined, 'entry of tensor "a" is malformed'],
  [
    'an extra field',
    '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}',
    4,
    undefined,
    'is malformed',
  ],
  [
    'a dtype named like a method',
    `{"a":${entry([1], 0, 4, 'toString')}}`,
    4,
    undefined,
    'has dtype toString',
  ],
  ['an overlap', `{"a":${entry([2], 0, 8)},"b":${entry([1], 4, 8)}}`, 8, undefined, 'tensor "b" overlaps'],
  ['a gap', `{"a":${entry([1], 4, 8)}}`, 8, undefined, '4 bytes before tensor "a" belong to no tensor'],
  ['a cut file', `{"a":${entry([4], 0, 16)}}`, 12, undefined, 'it is cut short'],
  ['bytes at the end', `{"a":${entry([1], 0, 4)}}`, 6, undefined, '2 bytes at its end'],
  ['metadata of numbers', '{"__metadata__":{"a":1}}', 0, undefined, '__metadata__ is not a map of strings'],
])('%s is refused', async (_, header, dataBytes, declared, message) => {
  const file = await writeRaw(header, dataBytes, declared)
  const error = await readSafetensors(file).catch((e: unknown) => e)
  expect(error).toMatchObject({ code: 'BAD_MODEL', message: expect.stringContaining(message) })
  expect(error).toMatchObject({ message: expect.stringContaining(file) })
})
