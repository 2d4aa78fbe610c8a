/** Ways to damage the files of a model folder: each gives a function that spoils one folder. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Rng } from '../../../src/rng.ts'

/** One damage: what it does to a good folder, and what the refusal must say. */
export interface Damage {
  readonly name: string
  readonly spoil: (folder: string, random: Rng) => Promise<void>
  readonly says: RegExp
}

export type Json = Record<string, unknown>
export interface Entry {
  dtype: string
  shape: number[]
  data_offsets: [number, number]
}
export interface Weights {
  header: Record<string, Entry>
  data: Buffer
}

export async function editJson(file: string, edit: (json: Json) => void): Promise<void> {
  const json = JSON.parse(await readFile(file, 'utf8')) as Json
  edit(json)
  await writeFile(file, JSON.stringify(json))
}

/** The first file that holds weights: the only one, or the first shard. */
export async function weightsFile(folder: string): Promise<string> {
  const single = join(folder, 'model.safetensors')
  const isSingle = await readFile(single).then(
    () => true,
    () => false,
  )
  return isSingle ? single : join(folder, 'model-00001-of-00002.safetensors')
}

export async function readRaw(file: string): Promise<Weights> {
  const bytes = await readFile(file)
  const length = Number(bytes.readBigUInt64LE())
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Weights['header']
  delete (header as Json)['__metadata__']
  return { header, data: Buffer.from(bytes.subarray(8 + length)) }
}

export async function writeRaw(file: string, header: Buffer | string, data: Buffer): Promise<void> {
  const text = Buffer.from(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  await writeFile(file, Buffer.concat([length, text, data]))
}

/** Changes header and data of the weights; what is returned replaces the header's text. */
export const weights =
  (edit: (of: Weights, random: Rng) => string | Buffer | undefined): Damage['spoil'] =>
  async (folder, random) => {
    const file = await weightsFile(folder)
    const of = await readRaw(file)
    const text = edit(of, random) ?? JSON.stringify(of.header)
    await writeRaw(file, text, of.data)
  }

export const anyTensor = (of: Weights, random: Rng): [string, Entry] => random.pick(Object.entries(of.header))

export const config =
  (key: string, value: (random: Rng) => unknown): Damage['spoil'] =>
  (folder, random) =>
    editJson(join(folder, 'config.json'), (json) => void (json[key] = value(random)))

export const tokenizer =
  (edit: (json: Json & { model: Json }, random: Rng) => void): Damage['spoil'] =>
  (folder, random) =>
    editJson(join(folder, 'tokenizer.json'), (json) => edit(json as Json & { model: Json }, random))

export const template =
  (source: string): Damage['spoil'] =>
  (folder) =>
    writeFile(join(folder, 'chat_template.jinja'), source)

export const replaced =
  (name: string, content: (random: Rng) => string | Buffer): Damage['spoil'] =>
  (folder, random) =>
    writeFile(join(folder, name), content(random))

/** Makes shards of a single file, and lets the index be damaged. */
export const index =
  (edit: (map: Record<string, string>, folder: string, random: Rng) => unknown): Damage['spoil'] =>
  async (folder, random) => {
    const single = join(folder, 'model.safetensors')
    const of = await readFile(single).catch(() => null)
    const file = join(folder, 'model.safetensors.index.json')
    if (of !== null) {
      const { header } = await readRaw(single)
      await writeFile(join(folder, 'model-00001-of-00002.safetensors'), of)
      await rm(single)
      const map = Object.fromEntries(
        Object.keys(header).map((name) => [name, 'model-00001-of-00002.safetensors']),
      )
      await writeFile(file, JSON.stringify({ weight_map: map }))
    }
    const { weight_map: map } = JSON.parse(await readFile(file, 'utf8')) as {
      weight_map: Record<string, string>
    }
    const text = await edit(map, folder, random)
    await writeFile(file, typeof text === 'string' ? text : JSON.stringify({ weight_map: map }))
  }

export const anyKey = (map: Record<string, string>, random: Rng): string => random.pick(Object.keys(map))
export const garbage = (random: Rng, bytes: number): Buffer =>
  Buffer.from(Array.from({ length: bytes }, () => random.int(256)))
