/** The engines that an experiment names; the torch engine is loaded for those alone that name it. */
import { createEmbeddedEngine } from '../engine/embedded/engine.ts'
import type { Engine, EngineName } from '../engine/engine.ts'
import type { Experiment } from '../spec/experiment.ts'

/** The engine of that name. Throws RangeError for one that no base names. */
export type EngineOf = (name: EngineName) => Engine

export interface Engines {
  readonly engineOf: EngineOf
  close(): Promise<void>
}

/** Nothing is started before the first training or model. */
export async function openEngines({ spec, torch: settings }: Experiment): Promise<Engines> {
  const engines = new Map<EngineName, Engine>([['embedded', createEmbeddedEngine()]])
  if (Object.values(spec.bases).some(({ engine }) => engine === 'torch')) {
    const { createTorchEngine } = await import('../engine/torch/engine.ts')
    engines.set('torch', createTorchEngine({ settings }))
  }
  return {
    engineOf: (name) => {
      const engine = engines.get(name)
      if (engine === undefined) throw new RangeError(`no base names the engine ${name}`)
      return engine
    },
    close: async () => {
      await Promise.all(engines.values().map((engine) => engine.close()))
    },
  }
}
