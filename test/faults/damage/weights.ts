/** Damaged safetensors files. */
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { anyTensor, type Damage, garbage, weights, weightsFile } from './edit.ts'

/** The bytes of a value that is not finite, in each format. */
const notFinite: Readonly<Record<string, readonly Buffer[]>> = {
  F32: [Buffer.from([0, 0, 0xc0, 0x7f]), Buffer.from([0, 0, 0x80, 0xff])],
  BF16: [Buffer.from([0xc0, 0x7f]), Buffer.from([0x80, 0x7f])],
  F16: [Buffer.from([0, 0x7e]), Buffer.from([0, 0xfc])],
}

export const ofWeights: Damage[] = [
  {
    name: 'cut inside its data',
    spoil: async (folder, random) => {
      const file = await weightsFile(folder)
      const { length } = await readFile(file)
      await truncate(file, length - 1 - random.int(length >> 1))
    },
    says: /it is cut short|declares a header of/,
  },
  {
    name: 'cut inside its header',
    spoil: async (folder, random) => truncate(await weightsFile(folder), 10 + random.int(300)),
    says: /declares a header of/,
  },
  {
    name: 'empty',
    spoil: async (folder, random) => truncate(await weightsFile(folder), random.int(10)),
    says: /is not a safetensors file: it has \d bytes/,
  },
  {
    name: 'a header that would be larger than the file',
    spoil: async (folder, random) => {
      const file = await weightsFile(folder)
      const bytes = await readFile(file)
      bytes.writeBigUInt64LE(
        random.pick([2n ** 64n - 1n, 2n ** 63n, 2n ** 53n, 2n ** 32n, BigInt(bytes.length - 7)]),
      )
      await writeFile(file, bytes)
    },
    says: /declares a header of \d+ bytes/,
  },
  {
    name: 'a header of megabytes',
    spoil: weights((of, random) =>
      JSON.stringify({ ...of.header, __metadata__: { a: 'x'.repeat(3e6 + random.int(3e7)) } }),
    ),
    says: /has a header of \d+ bytes, at most/,
  },
  {
    name: 'a header of garbage',
    spoil: weights((_, random) => garbage(random, 1000)),
    says: /its header is not JSON/,
  },
  {
    name: 'a header of open brackets',
    spoil: weights(() => '['.repeat(1e6)),
    says: /its header is not JSON/,
  },
  {
    name: 'a header of nested lists',
    spoil: weights(() => `{"a":${'['.repeat(5e5)}${']'.repeat(5e5)}}`),
    says: /its header is not JSON \(brackets nest/,
  },
  { name: 'a header that is a list', spoil: weights(() => '[1, 2]'), says: /not a JSON object/ },
  {
    name: 'two hundred thousand empty tensors',
    spoil: weights(() => `{${Array.from({ length: 2e5 }, (_, i) => `"${i}":0`).join(',')}}`),
    says: /entry of tensor "0" is malformed/,
  },
  {
    name: 'tensors that overlap',
    spoil: weights((of, random) => {
      const [, entry] = anyTensor(of, random)
      const by = entry.data_offsets[0] > 0 ? -2 : 2
      entry.data_offsets = [entry.data_offsets[0] + by, entry.data_offsets[1] + by]
      return undefined
    }),
    says: /overlaps another tensor|belong to no tensor/,
  },
  {
    name: 'tensors at the same place',
    spoil: weights((of) => {
      const [first] = Object.values(of.header)
      for (const entry of Object.values(of.header)) {
        const size = entry.data_offsets[1] - entry.data_offsets[0]
        entry.data_offsets = [first?.data_offsets[0] ?? 0, (first?.data_offsets[0] ?? 0) + size]
      }
      return undefined
    }),
    says: /overlaps another tensor/,
  },
  {
    name: 'a tensor beyond the end',
    spoil: weights((of, random) => {
      const [, entry] = anyTensor(of, random)
      entry.data_offsets = [entry.data_offsets[0] + 2 ** 40, entry.data_offsets[1] + 2 ** 40]
      return undefined
    }),
    says: /but the file has \d+: it is cut short|belong to no tensor/,
  },
  {
    name: 'offsets that are no numbers of bytes',
    spoil: weights((of, random) => {
      const [, entry] = anyTensor(of, random)
      Object.assign(entry, {
        data_offsets: random.pick<unknown>([[-4, 0], [0.5, 4.5], ['0', '4'], [0], null, [0, 1e300]]),
      })
      return undefined
    }),
    says: /entry of tensor "[^"]+" is malformed/,
  },
  {
    name: 'another dtype',
    spoil: weights((of, random) => {
      anyTensor(of, random)[1].dtype = random.pick([
        'I64',
        'F64',
        'F8_E4M3',
        'BOOL',
        '',
        'toString',
        '__proto__',
      ])
      return undefined
    }),
    says: /has dtype .*; F32, F16 and BF16 are read/,
  },
  {
    name: 'another dtype of the same size',
    spoil: weights((of, random) => {
      const [, entry] = anyTensor(of, random)
      entry.dtype = entry.dtype === 'F32' ? 'F16' : 'F32'
      return undefined
    }),
    says: /bytes, but holds \d+/,
  },
  {
    name: 'a matrix that is turned',
    spoil: weights((of, random) => {
      const [, entry] = random.pick(
        Object.entries(of.header).filter(([, { shape }]) => shape.length === 2 && shape[0] !== shape[1]),
      )
      entry.shape.reverse()
      return undefined
    }),
    says: /has shape \[\d+, \d+\], config.json says/,
  },
  {
    name: 'a shape of more elements than there are atoms',
    spoil: weights((of, random) => {
      anyTensor(of, random)[1].shape = random.pick([[2 ** 31, 2 ** 31], [2 ** 52, 2 ** 52], [0, 0], [1]])
      return undefined
    }),
    says: /bytes, but holds \d+|is malformed/,
  },
  {
    name: 'a tensor under another name',
    spoil: weights((of, random) => {
      const [name, entry] = anyTensor(of, random)
      delete of.header[name]
      of.header[`${name}.old`] = entry
      return undefined
    }),
    says: /is missing from the weights|has no tensor/,
  },
  {
    name: 'a tensor more',
    spoil: weights((of, random) => {
      const dtype = Object.values(of.header)[0]?.dtype ?? 'F32'
      const at = of.data.length
      of.data = Buffer.concat([of.data, Buffer.alloc(dtype === 'F32' ? 4 : 2)])
      const name = `model.layers.${2 + random.int(9)}.mlp.extra.weight`
      of.header[name] = { dtype, shape: [1], data_offsets: [at, of.data.length] }
      return undefined
    }),
    says: /has no place in the model|belong to no tensor|does not name/,
  },
  {
    name: 'a name twice',
    spoil: weights((of, random) => {
      const [name] = anyTensor(of, random)
      const text = JSON.stringify(of.header)
      return `${text.slice(0, -1)},${JSON.stringify(name)}:{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`
    }),
    says: /belong to no tensor|has shape/,
  },
  {
    name: 'bytes after its end',
    spoil: weights((of, random) => {
      of.data = Buffer.concat([of.data, garbage(random, 1 + random.int(100))])
      return undefined
    }),
    says: /bytes at its end belong to no tensor/,
  },
  {
    name: 'a value that is not finite',
    spoil: weights((of, random) => {
      const [, entry] = anyTensor(of, random)
      const value = random.pick(notFinite[entry.dtype] ?? [])
      const elements = (entry.data_offsets[1] - entry.data_offsets[0]) / value.length
      value.copy(of.data, entry.data_offsets[0] + random.int(elements) * value.length)
      return undefined
    }),
    says: /holds (NaN|-?Infinity) at element \d+/,
  },
  {
    name: 'nothing but NaN',
    spoil: weights((of) => {
      of.data.fill(0xff)
      return undefined
    }),
    says: /holds NaN at element 0/,
  },
  {
    name: 'a pipe',
    spoil: async (folder) => {
      const file = await weightsFile(folder)
      await rm(file)
      execFileSync('mkfifo', [file])
    },
    says: /is not a file/,
  },
  {
    name: 'a folder',
    spoil: async (folder) => {
      const file = await weightsFile(folder)
      await rm(file)
      await mkdir(file)
    },
    says: /is a folder, a file was expected/,
  },
]
