/** Schema of `placement.torch`: what the torch engine computes on and with, for bases that say `engine: torch`. */
import { z } from 'zod'
import { gpuNames, gpuOf } from '../engine/torch/gpus.ts'
import type { TorchSettings } from '../engine/torch/settings.ts'
import { text } from './data-schema.ts'

const server = z
  .union([
    z.enum(['auto', 'vllm', 'transformers']),
    z
      .string()
      .regex(
        /^https?:\/\/[^\s/]+/,
        'must be auto, vllm, transformers or an address like http://localhost:8000',
      ),
  ])
  .describe(
    'an OpenAI-compatible server: `vllm`, `transformers` (`transformers serve`), `auto` takes vLLM where it is installed and there is a GPU; or the address of one that runs',
  )

const share = z.number().gt(0).max(1)

const assumeSchema = z
  .strictObject({
    gpu: z
      .enum(gpuNames)
      .optional()
      .describe(
        'whose memory a training must fit into and whose peak times are told for; h100, and no limit',
      ),
    training: share
      .default(0.4)
      .describe(
        'share of the peak that training sustains, on all that it computes; 0.4 is what large runs on H100s report (38-43% in the Llama 3 paper, 2024)',
      ),
    sampling: share
      .default(0.1)
      .describe(
        'share of the peak that sampling sustains on a server that batches; 0.1, because drawing one token at a time is held up by memory',
      ),
    start: z
      .number()
      .min(0)
      .max(86_400)
      .default(120)
      .describe(
        'seconds that each training, and each Slurm job that samples, holds its GPUs until processes or a server have started and read the model; 120 is a guess. Evaluations of one process share a server, whose start is not counted',
      ),
  })
  .prefault({})
  .describe('what forecasts of time and memory rest on; no result depends on it')

export const torchSchema = z
  .strictObject({
    python: text.optional().describe('the interpreter; `.venv` of the project, else `python3`'),
    device: z.enum(['cuda', 'cpu']).default('cuda').describe('where tensors are'),
    dtype: z
      .enum(['float32', 'bfloat16'])
      .optional()
      .describe(
        'what is computed in; `bfloat16` on cuda, `float32` on cpu. Trained weights and moments are always float32',
      ),
    processes: z
      .int()
      .min(1)
      .max(4096)
      .default(1)
      .describe(
        'processes of a training, one a GPU, over all nodes; more than one shard the model with FSDP2',
      ),
    micro_batch: z
      .int()
      .min(1)
      .max(65_536)
      .default(1)
      .describe('packs that a process puts through the model at once'),
    gradient_checkpointing: z
      .boolean()
      .default(false)
      .describe('compute activations twice instead of keeping them'),
    cpu_offload: z
      .boolean()
      .default(false)
      .describe('keep weights, gradients and optimizer state in main memory'),
    attention: z
      .enum(['sdpa', 'flash_attention_2'])
      .default('sdpa')
      .describe('the implementation of attention'),
    sampler: z
      .union([z.literal('forward'), z.strictObject({ server })])
      .default('forward')
      .describe('who samples: `forward` is a process of the package, `{ server: auto }` a server'),
    keep_states: z
      .enum(['newest', 'all'])
      .default('newest')
      .describe(
        'which checkpoints keep what resuming from them needs, several times their weights: the newest until the training has ended, or all, so that another step can be asked for later at the cost of the steps between',
      ),
    assume: assumeSchema,
  })
  .describe('the torch engine, for bases with `engine: torch`: `{ device: cuda, processes: 8 }`')

/** The engine's settings with nothing left open. */
export function resolveTorch(said: z.infer<typeof torchSchema> | undefined): TorchSettings {
  const spec = said ?? torchSchema.parse({})
  const { device, sampler } = spec
  return {
    python: spec.python ?? null,
    device,
    dtype: spec.dtype ?? (device === 'cuda' ? 'bfloat16' : 'float32'),
    processes: spec.processes,
    microBatch: spec.micro_batch,
    gradientCheckpointing: spec.gradient_checkpointing,
    cpuOffload: spec.cpu_offload,
    attention: spec.attention,
    sampler: sampler === 'forward' ? sampler : { server: serverOf(sampler.server) },
    keepStates: spec.keep_states,
    assume: { ...spec.assume, gpu: spec.assume.gpu === undefined ? null : gpuOf(spec.assume.gpu) },
  }
}

function serverOf(named: string): 'auto' | 'vllm' | 'transformers' | { readonly url: string } {
  return named === 'auto' || named === 'vllm' || named === 'transformers' ? named : { url: named }
}
