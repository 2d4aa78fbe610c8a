/** The embedded engine: training and sampling on ONNX Runtime in worker threads of this process. */
import type { Engine } from '../engine.ts'
import { createSamplerHost } from './sampler.ts'
import { createEmbeddedTrainer } from './trainer.ts'

/** Threads and sessions start with the first training or model; close() ends them. */
export function createEmbeddedEngine(): Engine {
  const trainer = createEmbeddedTrainer()
  const samplers = createSamplerHost()
  return {
    name: 'embedded',
    trainer,
    openSampler: (folder) => samplers.open(folder),
    close: async () => {
      await Promise.all([trainer.close(), samplers.close()])
    },
  }
}
