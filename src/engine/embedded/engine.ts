/** The embedded engine: training and sampling on ONNX Runtime in worker threads of this process. */
import type { Engine } from '../engine.ts'
import { createSamplerHost } from './sampler.ts'
import { createEmbeddedTrainer, ONNX_RUNTIME_VERSION } from './trainer.ts'

/** Raised when the same requests would give other results. */
const SAMPLER_VERSION = 1

/** Threads and sessions start with the first training or model; close() ends them. */
export function createEmbeddedEngine(): Engine {
  const trainer = createEmbeddedTrainer()
  const samplers = createSamplerHost()
  return {
    name: 'embedded',
    samplerIdentity: { engine: 'embedded', version: SAMPLER_VERSION, onnxruntime: ONNX_RUNTIME_VERSION },
    trainer,
    openSampler: (folder) => samplers.open(folder),
    close: async () => {
      await Promise.all([trainer.close(), samplers.close()])
    },
  }
}
