/** What a teacher is: whoever writes the benign responses. Scripted ones are handed in; one that answers from records is here. */
import type { Finish, PromptRow } from '../data/rows.ts'

/** One response a prompt. A question that got none is an error with its reason, never an empty response. */
export type TeacherResponse =
  | { readonly id: string; readonly text: string; readonly finish: Finish }
  | { readonly id: string; readonly finish: 'error'; readonly reason: string }

export interface TeacherContext {
  /** Names, with a row's id, every draw that the teacher makes. */
  readonly seed: number
  readonly signal: AbortSignal
}

/** Answers every row, in order. */
export type Teacher = (rows: readonly PromptRow[], context: TeacherContext) => Promise<TeacherResponse[]>
