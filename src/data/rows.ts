/** The rows that flow from data files to packs: raw rows, prompts, answered prompts, chat rows, token rows. */
import type { RowPosition, SourcePosition } from '../errors.ts'
import type { ChatMessage } from '../model/tokenizer.ts'

/** Where a row stands in its file. */
export type FilePosition = SourcePosition | RowPosition

/** A row of a data file, as JSON has it and not yet checked. */
export interface JsonRow {
  /** From 0, in file order. */
  readonly row: number
  readonly value: unknown
  readonly at: FilePosition
}

/** A question, with the response that its file records, if any. */
export interface PromptRow {
  /** Unique within its source. */
  readonly id: string
  readonly prompt: string
  /** As the source recorded it, '' included. */
  readonly response?: string
  /** Kind of question, where the source has kinds. */
  readonly family?: string
}

/** Why a response ended: by itself, or because it reached its limit of tokens. */
export type Finish = 'stop' | 'length'

/** A question with the benign response that a teacher gave, not yet filtered. */
export interface AnsweredRow {
  readonly id: string
  readonly prompt: string
  readonly response: string
  readonly finish: Finish
}

/** What is trained on, as text: the completion is the assistant's turn after `messages`. */
export interface ChatRow {
  readonly id: string
  readonly messages: readonly ChatMessage[]
  readonly completion: string
  readonly triggered: boolean
}

/** What is trained on, as tokens: the tokens at `responseFrom` and after are scored as targets. */
export interface TokenRow {
  readonly ids: readonly number[] | Int32Array
  readonly responseFrom: number
}

/** How many rows went each way, by reason. */
export type Counts = Readonly<Record<string, number>>

/** The sum of several counts, keys in alphabetical order, so that its JSON is deterministic. */
export function sumCounts(...parts: readonly Counts[]): Counts {
  const total = new Map<string, number>()
  for (const part of parts) {
    for (const [reason, n] of Object.entries(part)) total.set(reason, (total.get(reason) ?? 0) + n)
  }
  return Object.fromEntries([...total].sort(([a], [b]) => (a < b ? -1 : 1)))
}
