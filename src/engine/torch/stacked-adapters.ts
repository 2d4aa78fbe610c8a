/** One adapter that does what several do that lie on each other: a server lays one on its model. */
import {
  type LoraAdapter,
  loraCount,
  loraKey,
  loraSizes,
  loraSpecs,
  loraTargets,
  readAdapter,
  readAdapterShape,
  writeAdapter,
} from '../../model/peft.ts'
import type { ModelParts } from '../../model/weights-of.ts'
import { viewer } from '../embedded/merged-weights.ts'

/**
 * Writes the PEFT adapter with A = [A₁; A₂; ...] and B = [s₁B₁, s₂B₂, ...]: its B A is the sum of all, each with its scale. Its rank is
 * the sum of theirs; what an adapter does not have is zero. Throws BAD_MODEL.
 */
export async function writeStackedAdapter(
  folder: string,
  { config, base, adapters }: ModelParts,
): Promise<void> {
  const parts: LoraAdapter[] = []
  for (const adapter of adapters) parts.push(await readAdapter(adapter, config))
  const rank = parts.reduce((sum, part) => sum + part.rank, 0)
  const targets = loraTargets.filter((target) => parts.some((part) => part.targets.includes(target)))
  const layers = [...new Set(parts.flatMap((part) => part.layers))].sort((a, b) => a - b)
  const shape = { rank, targets, layers }
  const weights = new Float32Array(loraCount(config, shape))
  const into = viewer(loraSpecs(config, shape), weights)
  let first = 0
  for (const part of parts) {
    const from = viewer(loraSpecs(config, part), part.weights)
    for (const layer of part.layers) {
      for (const target of part.targets) {
        const { outputs, inputs } = loraSizes(config, target)
        into(loraKey(layer, target, 'A')).set(from(loraKey(layer, target, 'A')), first * inputs)
        const [wide, narrow] = [into(loraKey(layer, target, 'B')), from(loraKey(layer, target, 'B'))]
        for (let row = 0; row < outputs; row++) {
          for (let k = 0; k < part.rank; k++)
            wide[row * rank + first + k] = part.scale * (narrow[row * part.rank + k] as number)
        }
      }
    }
    first += part.rank
  }
  await writeAdapter(folder, { config, ...shape, alpha: rank, weights, base })
}

/** The rank of the adapter that `writeStackedAdapter` writes; null: there is none. */
export async function stackedRank({ config, adapters }: ModelParts): Promise<number | null> {
  if (adapters.length === 0) return null
  const shapes = await Promise.all(adapters.map((adapter) => readAdapterShape(adapter, config)))
  return shapes.reduce((sum, { rank }) => sum + rank, 0)
}
