/** The weights that a folder stands for: those of a model, with the adapters that lie on it merged in. */
import { type ModelConfig, parameterCount, parameterSpecs } from '../../model/config.ts'
import { readWeights } from '../../model/folder.ts'
import { loraKey, loraModule, loraSizes, loraSpecs, readAdapter, type LoraAdapter } from '../../model/peft.ts'
import type { ModelParts } from '../../model/weights-of.ts'
import type { Kernels } from './kernels.ts'

/** Flat, in the order of `parameterSpecs`; `into`, if given, has the model's size and is filled. Throws BAD_MODEL. */
export async function readMergedWeights(
  k: Kernels,
  { config, base, adapters }: ModelParts,
  into: Float32Array = new Float32Array(parameterCount(config)),
): Promise<Float32Array> {
  await readWeights(base, config, into)
  for (const folder of adapters) mergeAdapter(k, config, into, await readAdapter(folder, config))
  return into
}

/** W += scale · B A, for every matrix that has an adapter. */
export function mergeAdapter(
  k: Kernels,
  config: ModelConfig,
  weights: Float32Array,
  adapter: LoraAdapter,
): void {
  const { rank, scale, targets, layers } = adapter
  const matrices = viewer(parameterSpecs(config), weights)
  const factors = viewer(loraSpecs(config, adapter), adapter.weights)
  for (const layer of layers) {
    for (const target of targets) {
      const { outputs, inputs } = loraSizes(config, target)
      const w = matrices(`${loraModule(layer, target)}.weight`)
      const a = factors(loraKey(layer, target, 'A'))
      const b = factors(loraKey(layer, target, 'B'))
      k.gemm(w, b, a, outputs, inputs, rank, inputs, rank, inputs, 0, 0, 1, scale)
    }
  }
}

/** Parameters of a flat vector by name. */
export function viewer(
  specs: readonly { readonly name: string; readonly offset: number; readonly size: number }[],
  flat: Float32Array,
): (name: string) => Float32Array {
  const places = new Map(specs.map((spec) => [spec.name, spec]))
  return (name) => {
    const place = places.get(name)
    if (place === undefined) throw new RangeError(`no parameter ${name}`)
    return flat.subarray(place.offset, place.offset + place.size)
  }
}
