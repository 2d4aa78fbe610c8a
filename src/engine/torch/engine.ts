/** The torch engine: training with FSDP2 under torchrun and sampling by a forward process or a server, in processes of Python. */
import type { Engine } from '../engine.ts'
import { TOGETHER } from './asked.ts'
import { samplingCost } from './cost.ts'
import { packageVersion, wantedVersions } from './environment.ts'
import { Lane } from './lane.ts'
import { launchOfSlurm } from './launch.ts'
import { createTorchSamplerHost } from './sampler.ts'
import type { Launch, TorchSettings } from './settings.ts'
import { createTorchTrainer } from './trainer.ts'

/** Raised when this side would make other results from the same answers. */
const VERSION = 1

export interface TorchEngineOptions {
  readonly settings: TorchSettings
  /** Default: the nodes of the Slurm job that this process runs in, if there are several. */
  readonly launch?: Launch | null
  /** Default: one of its own. Engines on the same devices share one, which the first that is closed closes. */
  readonly lane?: Lane
}

/** Starts nothing before the first training or model. Throws ENGINE where the package's own files are missing. */
export function createTorchEngine({
  settings,
  launch = launchOfSlurm(process.env),
  lane = new Lane(),
}: TorchEngineOptions): Engine {
  const versions = wantedVersions()
  const { device, dtype, processes, microBatch, cpuOffload, attention } = settings
  const common = { engine: 'torch', version: VERSION, package: packageVersion(), device, dtype, ...versions }
  const trainer = createTorchTrainer({
    settings,
    launch,
    versions,
    lane,
    // Checkpointed activations are computed again to the same numbers: the one setting that is left out.
    identity: {
      ...common,
      processes,
      micro_batch: microBatch,
      cpu_offload: cpuOffload ? 'yes' : 'no',
      attention,
    },
  })
  const samplers = createTorchSamplerHost({ settings, launch, versions, lane })
  return {
    name: 'torch',
    samplerIdentity: { ...common, sampler: samplerName(settings) },
    trainer,
    estimateSampling: (config, need) => samplingCost(settings, config, need),
    openSampler: (folder) => samplers.open(folder),
    close: async () => {
      await lane.close()
      await samplers.close()
    },
  }
}

function samplerName({ sampler, processes }: TorchSettings): string {
  if (sampler === 'forward') return `forward, ${TOGETHER} together`
  const { server } = sampler
  if (typeof server === 'object') return server.url
  // What a model is split over changes the order of its sums.
  return `${server} server, ${processes} processes`
}
