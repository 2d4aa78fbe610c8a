/** What a run tells while it goes: for the terminal, and (without progress) for `events.jsonl`. */
import type { StageState } from './execute.ts'
import type { MemoryForecast } from './memory.ts'
import type { StageKind, StageProgress } from './stage.ts'

/** How a job of a cluster stands, as far as is known. */
export interface JobState {
  readonly id: string | null
  readonly state: 'queued' | 'running' | 'unknown'
  /** Why it waits, or why its state is not known. */
  readonly reason: string
  readonly node: string
}

interface Rate {
  readonly k: number
  readonly n: number
}

export type RunEvent =
  | {
      readonly type: 'plan'
      readonly run: string
      readonly cells: number
      readonly stages: number
      readonly cached: number
      readonly seconds: number
      /** The most that one stage to run takes, against what there is. */
      readonly memory: MemoryForecast | null
    }
  | {
      readonly type: 'stage'
      readonly state: StageState
      readonly kind: StageKind
      readonly key: string
      readonly title: string
      readonly seconds?: number | undefined
      readonly why?: string | undefined
      /** Of a skipped stage: title of the stage that failed. */
      readonly because?: string | undefined
    }
  | {
      readonly type: 'progress'
      readonly title: string
      readonly progress: StageProgress
    }
  /** A stage that is made by a cluster: its job was submitted, waits, runs; told when that changes. */
  | ({
      readonly type: 'job'
      readonly kind: StageKind
      readonly key: string
      readonly title: string
    } & JobState)
  | { readonly type: 'busy'; readonly run: string; readonly pid: number; readonly host: string }
  /** The disk refuses the event log; the run goes on. */
  | { readonly type: 'unlogged'; readonly why: string }
  | { readonly type: 'remaining'; readonly seconds: number }
  | {
      readonly type: 'rate'
      readonly cell: string
      readonly step: number
      readonly triggered: Rate
      readonly untriggered: Rate
    }
