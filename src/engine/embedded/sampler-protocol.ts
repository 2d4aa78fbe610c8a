/** What the sampler's host and its worker thread say to each other; plain data that crosses threads. */
import type { ErrorCode } from '../../errors.ts'
import type { ModelParts } from '../../model/weights-of.ts'
import type { MessagePort } from 'node:worker_threads'
import type { Draw, GenerateRequest, GenerateResult, StreamRequest } from '../engine.ts'
import type { ScoreSequence } from './score-plan.ts'

/** `model` is the host's number for an open model. */
export type Task =
  | { readonly kind: 'open'; readonly model: number; readonly parts: ModelParts }
  | { readonly kind: 'close'; readonly model: number }
  | { readonly kind: 'generate'; readonly model: number; readonly requests: readonly GenerateRequest[] }
  | { readonly kind: 'stream'; readonly model: number; readonly stream: StreamTask }
  | { readonly kind: 'score'; readonly model: number; readonly sequences: readonly ScoreSequence[] }

/** A generation that requests join while it runs; it ends when nothing is under way. */
export interface StreamTask {
  /** Of a slot of the cache: no request may need more. */
  readonly positions: number
  /** Transferred; brings a StreamMessage and takes StreamDraws. */
  readonly port: MessagePort
}

/** `response` is the host's number for a request, counted from 0 in each stream. */
export type StreamMessage =
  | { readonly kind: 'add'; readonly response: number; readonly request: StreamRequest }
  | { readonly kind: 'end'; readonly response: number }

/** What one step of the model gave. */
export type StreamDraws = readonly { readonly response: number; readonly draw: Draw }[]

/** What a task ends with; a cancelled one ends with null. */
export interface TaskResults {
  readonly open: true
  readonly close: true
  readonly generate: readonly GenerateResult[] | null
  /** How many requests it took; those that were added later are for the next stream. */
  readonly stream: number
  /** For every sequence the log-probabilities of its picks. */
  readonly score: readonly (readonly number[])[] | null
}

export interface TaskMessage {
  /** Names the task in its reply. */
  readonly id: number
  readonly task: Task
  /** Shared memory: anything but 0 cancels. The worker looks before every step. */
  readonly cancel: Int32Array
}

export type TaskReply =
  | { readonly id: number; readonly type: 'done'; readonly result: TaskResults[Task['kind']] }
  | {
      readonly id: number
      readonly type: 'failed'
      readonly code: ErrorCode
      readonly message: string
      readonly hint?: string
    }
