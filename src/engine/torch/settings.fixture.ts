/** Settings for tests: float32 on a CPU unless said otherwise. */
import type { TorchSettings } from './settings.ts'

export function testSettings(said: Partial<TorchSettings> = {}): TorchSettings {
  return {
    python: null,
    device: 'cpu',
    dtype: 'float32',
    processes: 1,
    microBatch: 1,
    keepStates: 'newest',
    assume: { gpu: null, training: 0.4, sampling: 0.1, start: 120 },
    gradientCheckpointing: false,
    cpuOffload: false,
    attention: 'sdpa',
    sampler: 'forward',
    ...said,
  }
}
