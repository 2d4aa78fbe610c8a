/** The embedded engine: training and sampling on native kernels in worker threads of this process. */
import type { Engine } from '../engine.ts'
import { createCores } from './cores.ts'
import { KERNELS_VERSION } from './kernels.ts'
import { createSamplerHost } from './sampler.ts'
import { samplingCost } from './sampling-cost.ts'
import { createEmbeddedTrainer } from './trainer.ts'

/** Raised when the same requests would give other results. */
const SAMPLER_VERSION = 2

/** Threads start with the first training or model; close() ends them. */
export function createEmbeddedEngine(): Engine {
  const cores = createCores()
  const trainer = createEmbeddedTrainer(cores)
  const samplers = createSamplerHost(cores)
  return {
    name: 'embedded',
    samplerIdentity: { engine: 'embedded', version: SAMPLER_VERSION, kernels: KERNELS_VERSION },
    trainer,
    estimateSampling: samplingCost,
    openSampler: (folder) => samplers.open(folder),
    close: async () => {
      await Promise.all([trainer.close(), samplers.close()])
    },
  }
}
