/** What the sampler's host and its worker threads say to each other; plain data that crosses threads. */
import type { ErrorCode } from '../../errors.ts'
import type { LlamaConfig } from '../../model/config.ts'
import type { GenerateRequest, GenerateResult } from '../engine.ts'
import type { ScoreSequence } from './score-plan.ts'

/** A model folder as the worker knows it; `id` is the host's number for it. */
export interface OpenModel {
  readonly id: number
  readonly folder: string
  readonly config: LlamaConfig
  readonly stopIds: readonly number[]
}

export type Task =
  | { readonly kind: 'open'; readonly model: OpenModel }
  | { readonly kind: 'close'; readonly id: number }
  | { readonly kind: 'generate'; readonly id: number; readonly requests: readonly GenerateRequest[] }
  | { readonly kind: 'score'; readonly id: number; readonly sequences: readonly ScoreSequence[] }

/** What a task ends with; a cancelled one ends with null. */
export interface TaskResults {
  readonly open: true
  readonly close: true
  readonly generate: readonly GenerateResult[] | null
  /** For every sequence the log-probabilities of its picks. */
  readonly score: readonly (readonly number[])[] | null
}

export interface TaskMessage {
  readonly task: Task
  /** Shared memory: anything but 0 cancels. The worker looks before every run of the model. */
  readonly cancel: Int32Array
}

export type TaskReply =
  | { readonly type: 'done'; readonly result: TaskResults[Task['kind']] }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string; readonly hint?: string }
