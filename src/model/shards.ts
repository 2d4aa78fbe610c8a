/** The weights of a model folder as one reader, whether they lie in model.safetensors or in shards named by an index. */
import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { LabError } from '../errors.ts'
import { parseJson, readTextIfPresent } from './json-file.ts'
import { openSafetensors, type SafetensorsReader } from './safetensors.ts'

/** What model.safetensors.index.json says: the shard of every tensor. */
export const shardIndexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) })

/** One tensor of the folder, not yet read. */
export interface LocatedTensor {
  readonly file: string
  readonly shape: readonly number[]
  /** Fills `into` with the tensor's elements, from number `from` on (default 0). */
  read(into: Float32Array, from?: number): Promise<void>
}

export interface WeightsReader extends AsyncDisposable {
  readonly tensors: ReadonlyMap<string, LocatedTensor>
}

/** Tensor name to shard file name, or null where the folder has a single file. */
async function readIndex(folder: string): Promise<Map<string, string> | null> {
  // A single file wins over an index, as in `transformers`.
  if (await stat(join(folder, 'model.safetensors')).catch(() => null)) return null
  const file = join(folder, 'model.safetensors.index.json')
  const text = await readTextIfPresent(file)
  if (text === null) {
    throw new LabError(
      'BAD_MODEL',
      `${folder}: has neither model.safetensors nor model.safetensors.index.json`,
      {
        hint: 'Weights in other formats (.bin, .gguf) are not read; save them with save_pretrained.',
      },
    )
  }
  const index = new Map(Object.entries(parseJson(file, text, shardIndexSchema).weight_map))
  // A shard lies in the folder itself: an index must not reach other files.
  const outside = [...index.values()].find(
    (shard) => basename(shard) !== shard || ['', '.', '..'].includes(shard),
  )
  if (outside !== undefined) throw new LabError('BAD_MODEL', `${file}: shard "${outside}" is not a file name`)
  return index
}

/** Opens the weights of a folder and reads their headers. Throws BAD_MODEL. */
export async function openWeights(folder: string): Promise<WeightsReader> {
  const index = await readIndex(folder)
  await using opened = new AsyncDisposableStack()
  const readers = new Map<string, SafetensorsReader>()
  for (const name of new Set(index?.values() ?? ['model.safetensors'])) {
    readers.set(name, opened.use(await openSafetensors(join(folder, name))))
  }

  const tensors = new Map<string, LocatedTensor>()
  for (const [shard, reader] of readers) {
    const { file, entries } = reader.header
    const absent = index?.entries().find(([name, holder]) => holder === shard && !entries.has(name))
    if (absent)
      throw new LabError('BAD_MODEL', `${file}: has no tensor "${absent[0]}", which the index says it holds`)
    for (const [name, { shape }] of entries) {
      const holder = index === null ? shard : index.get(name)
      if (holder === undefined)
        throw new LabError('BAD_MODEL', `${file}: holds the tensor "${name}", which the index does not name`)
      if (holder !== shard) continue
      tensors.set(name, { file, shape, read: (into, from) => reader.read(name, into, from) })
    }
  }
  const open = opened.move()
  return { tensors, [Symbol.asyncDispose]: () => open.disposeAsync() }
}
