/** The engines that an experiment names; the torch engine is loaded for those alone that name it. */
import { createEmbeddedEngine } from '../engine/embedded/engine.ts'
import type { Engine, EngineName } from '../engine/engine.ts'
import type { Experiment } from '../spec/experiment.ts'
import { placementFor } from '../spec/placement.ts'
import { placedSections, type Section } from '../spec/placement-schema.ts'

/** The engine of that name, as it is placed for a section. Throws RangeError for one that no base names. */
export type EngineOf = (name: EngineName, section: Section | null) => Engine

export interface Engines {
  readonly engineOf: EngineOf
  close(): Promise<void>
}

/** Nothing is started before the first training or model. */
export async function openEngines({ spec }: Pick<Experiment, 'spec'>): Promise<Engines> {
  const embedded = createEmbeddedEngine()
  const torch = new Map<Section | null, Engine>()
  if (Object.values(spec.bases).some(({ engine }) => engine === 'torch')) {
    const { createTorchEngine } = await import('../engine/torch/engine.ts')
    const { Lane } = await import('../engine/torch/lane.ts')
    // They share the devices of this machine.
    const lane = new Lane()
    for (const section of placedSections) {
      const settings = placementFor(spec, section).torch
      torch.set(section, createTorchEngine({ settings, lane }))
    }
  }
  return {
    engineOf: (name, section) => {
      const engine = name === 'embedded' ? embedded : torch.get(section)
      if (engine === undefined) throw new RangeError(`no base names the engine ${name}`)
      return engine
    },
    close: async () => {
      for (const engine of [embedded, ...torch.values()]) await engine.close()
    },
  }
}
