/** What the torch engine is told: how it trains, on what, who samples, and what forecasts assume. */
import type { Gpu } from './gpus.ts'

export type SamplerChoice =
  /** The package's own long-lived process: `transformers`, every log-probability. */
  | 'forward'
  /** An OpenAI-compatible server: the best that is installed, a named one, or one that runs already. */
  | { readonly server: 'auto' | 'vllm' | 'transformers' | { readonly url: string } }

export interface TorchSettings {
  /** Path or name of the interpreter; null: `.venv` beside the package, else `python3`. */
  readonly python: string | null
  readonly device: 'cpu' | 'cuda'
  readonly dtype: 'float32' | 'bfloat16'
  /** Processes of a training in all, over all nodes: one a device. */
  readonly processes: number
  /** Packs that one process puts through the model at once. */
  readonly microBatch: number
  readonly gradientCheckpointing: boolean
  readonly cpuOffload: boolean
  readonly attention: 'sdpa' | 'flash_attention_2'
  readonly sampler: SamplerChoice
  /** Whether every checkpoint keeps what resuming from it needs, or the newest alone. */
  readonly keepStates: 'all' | 'newest'
  readonly assume: Assumptions
}

/** What forecasts of time and memory rest on; no result depends on it. */
export interface Assumptions {
  /** Null: none was named. */
  readonly gpu: Gpu | null
  /** Share of a GPU's peak that training, and sampling, are assumed to sustain. */
  readonly training: number
  readonly sampling: number
  /** Seconds of a training, and of a job that samples, on GPUs until its model is read. */
  readonly start: number
}

/** Nodes that share one training; the process that starts it runs on the first of them. */
export interface Launch {
  readonly nodes: number
  /** Name of the first node, as the others reach it. */
  readonly host: string
  readonly port: number
}
