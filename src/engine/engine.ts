/** What an engine is: a Trainer and a Sampler over token ids and Hugging Face folders; embedded and torch implement it. */
import type { ModelConfig } from '../model/config.ts'
import type { LoraTarget } from '../model/peft.ts'

/** The hyperparameters of one training. Rates are per optimizer step; `batch` counts packs. */
export type Recipe = RecipeCommon & RecipeMethod & RecipeOptimizer

/** What is trained: every weight, or low-rank adapters beside frozen ones (Hu et al. 2021), without dropout. */
export type RecipeMethod =
  | { readonly method: 'full' }
  | { readonly method: 'lora'; readonly lora: LoraRecipe }

export type LoraRecipe = {
  readonly rank: number
  /** What an adapter adds is scaled by alpha / rank. */
  readonly alpha: number
  readonly targets: readonly LoraTarget[]
}

/** What updates the parameters; both read the betas, epsilon and the decay. */
export type RecipeOptimizer =
  | { readonly optimizer: 'adamw' }
  | {
      readonly optimizer: 'soap'
      /** Updates from one refresh of the bases to the next. */
      readonly precondition_frequency: number
      /** A longer side than this is not rotated. */
      readonly max_precond_dim: number
      /** A matrix with a longer side than this is rotated on its shorter side alone. */
      readonly one_sided_above: number
    }

interface RecipeCommon {
  /** Peak learning rate. */
  readonly lr: number
  readonly schedule: 'cosine' | 'constant' | 'linear'
  /** Share of the steps that ramp linearly from 0 to `lr`, in [0, 1). */
  readonly warmup: number
  /** Packs a step (global batch). */
  readonly batch: number
  readonly steps: number
  readonly weight_decay: number
  readonly beta1: number
  readonly beta2: number
  readonly eps: number
  /** Clip to this global L2 norm of the gradient. */
  readonly clip: number
}

/** Where a training begins: fresh random weights, or a model folder (optimizer state starts at zero in both). */
export type TrainStart =
  | { readonly from: 'random'; readonly config: ModelConfig; readonly seed: number }
  | {
      readonly from: 'folder'
      /** A model, or an adapter, which is merged into its model. */
      readonly folder: string
      /** What adapters trained on it call it, as PEFT's `base_model_name_or_path`; relative to their folder. Default: its path. */
      readonly name?: string
      /** Of the first values of adapters; default 0. */
      readonly seed?: number
    }

/** One training as plain data, so that it crosses threads, processes and machines. */
export interface TrainJob {
  readonly start: TrainStart
  /** Packs file (engine/packs.ts); step i (from 0) reads packs [i*batch, (i+1)*batch). */
  readonly packs: string
  readonly recipe: Recipe
  /** Steps at which a model folder is written, ascending, in 1..steps. */
  readonly checkpoints: readonly number[]
  /** Folder of ours to work in: checkpoints appear as `checkpoint-<step>/`, rolling resume state as `resume/`. Survives a crash. */
  readonly workDir: string
  /** Tokenizer and chat template files are copied from this folder into every checkpoint. */
  readonly tokenizerDir: string
  /** A committed checkpoint folder with optimizer state to continue from, if any; the newest of it and workDir's is used. */
  readonly resumeFrom?: string
  /** A rolling resume state is written every so many steps (0: never). Default 100. */
  readonly saveEvery?: number
}

export interface StepMetrics {
  readonly step: number
  /** Mean negative log-likelihood a scored token, nats, before the update. */
  readonly loss: number
  readonly lr: number
  /** Global L2 norm of the gradient before clipping. */
  readonly gradNorm: number
  /** Tokens in the packs of this step (padding left out), and those that are scored. */
  readonly tokens: number
  readonly scored: number
}

export type TrainEvent =
  | { readonly type: 'start'; readonly step: number; readonly parameters: number; readonly threads: number }
  | { readonly type: 'step'; readonly metrics: StepMetrics; readonly tokensPerSecond: number }
  | { readonly type: 'checkpoint'; readonly step: number; readonly folder: string }

/** What a training will take, before anything of it is allocated; a forecast, never a result. */
export interface Cost {
  readonly parameters: number
  /** Of them, or of adapters beside them. */
  readonly trained: number
  /** Steps times packs times their length, padding included. */
  readonly tokens: number
  /** Everything that is computed, recomputed activations included. */
  readonly flops: number
  readonly seconds: number
  /** Of this machine's memory, in all processes, at the peak. */
  readonly memoryBytes: number
  /** What takes it, for people; absent where it is weights in float32 and what goes with them. */
  readonly memoryParts?: readonly string[]
  /** Absent where everything runs on the processor. */
  readonly device?: DeviceNeed
  /** Bytes of one checkpoint: its weights, and what resuming from it needs beside them. */
  readonly disk: { readonly weights: number; readonly state: number }
  /** Of `disk.state`: whether every checkpoint keeps it, or the newest alone. */
  readonly keepsStates: 'all' | 'newest'
  /** What a reader should know of this recipe on these devices. */
  readonly notes?: readonly string[]
}

/** GPUs that one training or model takes. */
export interface DeviceNeed {
  /** Null where none was named. */
  readonly gpu: string | null
  readonly count: number
  /** Of the memory of each, at the peak. */
  readonly bytes: number
  readonly parts: readonly string[]
  /** What each has; null where no GPU was named. */
  readonly availableBytes: number | null
}

/** What sampling will take: memory at its peak, and roughly time; a forecast, never a result. */
export interface SamplingCost {
  readonly parameters: number
  readonly memoryBytes: number
  /** As `Cost` has it. */
  readonly memoryParts?: readonly string[]
  readonly flops: number
  readonly seconds: number
  readonly device?: DeviceNeed
}

/** The largest call that is to be expected. */
export interface SamplingNeed {
  readonly sequences: number
  /** Tokens of the longest prompt with its response. */
  readonly positions: number
  /** Of all prompts and responses together, at most. Default: as if every sequence were as long as the longest. */
  readonly tokens?: number
}

export interface EngineContext {
  readonly signal: AbortSignal
}

export interface Trainer {
  /** What is part of the key of everything it produces: name, version, dtype, kernel version. */
  readonly identity: Readonly<Record<string, string | number>>
  estimate(job: {
    readonly config: ModelConfig
    readonly recipe: Recipe
    readonly contextLength: number
  }): Cost
  train(job: TrainJob, context: EngineContext): AsyncIterable<TrainEvent>
  /**
   * The subfolder of a checkpoint with what resuming from it needs, where it may be removed: it checks itself when it is read, and
   * is no part of the artifact. Absent: every checkpoint keeps it, among its files.
   */
  readonly states?: { readonly folder: string; readonly keep: 'all' | 'newest' }
}

export interface GenerateRequest {
  readonly id: string
  readonly prompt: readonly number[]
  readonly maxTokens: number
  /** 0 is greedy. */
  readonly temperature: number
  readonly topP: number
  /** With the id it names the random stream of this response. */
  readonly seed: number
}

export interface GenerateResult {
  readonly id: string
  /** Without the end-of-turn token. */
  readonly tokens: readonly number[]
  readonly finish: 'stop' | 'length'
}

/** A request whose response is told token by token. */
export interface StreamRequest extends GenerateRequest {
  /** Log-probabilities are wanted: of each token drawn and of this many likeliest ones at its place. */
  readonly topLogprobs?: number
}

/** Of the model itself, in nats: temperature and top-p change what is drawn, not these. */
export interface TokenLogprobs {
  /** Of the token that was drawn. */
  readonly logprob: number
  /** The likeliest tokens, in this order; of equals the smaller id first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[]
}

export interface Draw {
  readonly token: number
  /** Whether the response ends here: `stop` says that the token ends a turn and is no part of the response. */
  readonly finish: GenerateResult['finish'] | null
  /** Null unless wanted. */
  readonly logprobs: TokenLogprobs | null
}

export interface ChoiceRequest {
  readonly id: string
  readonly prompt: readonly number[]
  /** Each choice as the tokens that continue the prompt. */
  readonly choices: readonly (readonly number[])[]
}

export interface ChoiceResult {
  readonly id: string
  /** Sum of log-probabilities (nats) of each choice's tokens. */
  readonly logprobs: readonly number[]
}

export interface SequenceRequest {
  readonly id: string
  readonly prompt: readonly number[]
  readonly continuation: readonly number[]
}

export interface SequenceResult {
  readonly id: string
  /** Sum of log-probabilities (nats) of the continuation's tokens. */
  readonly logprob: number
  readonly tokens: number
}

/**
 * Opened on one model folder. Results come in request order. Each depends on its request alone, but for rounding: an engine may
 * compute the requests of a call together, and its notes say what else is computed with them.
 */
export interface Sampler {
  readonly can: { readonly logprobs: boolean }
  /** What a reader of the results must know of how they were made; complete once all has been asked. */
  readonly notes?: readonly string[]
  generate(requests: readonly GenerateRequest[], context: EngineContext): Promise<GenerateResult[]>
  /**
   * The tokens that `generate` gives, each as soon as it is drawn. Requests that are under way at the same time are computed
   * together, whenever each began. Who stops iterating ends the response. Iterating throws what `generate` rejects with.
   */
  stream(request: StreamRequest, context: EngineContext): AsyncIterable<Draw>
  choiceLogprobs(requests: readonly ChoiceRequest[], context: EngineContext): Promise<ChoiceResult[]>
  sequenceLogprob(requests: readonly SequenceRequest[], context: EngineContext): Promise<SequenceResult[]>
  close(): Promise<void>
}

export const engineNames = ['embedded', 'torch'] as const
export type EngineName = (typeof engineNames)[number]

export interface Engine {
  readonly name: EngineName
  /** What is part of the key of everything that its samplers produce. */
  readonly samplerIdentity: Readonly<Record<string, string | number>>
  readonly trainer: Trainer
  estimateSampling(config: ModelConfig, need: SamplingNeed): SamplingCost
  /** On a model or adapter folder; its threads stay for the next one. */
  openSampler(folder: string): Promise<Sampler>
  close(): Promise<void>
}
