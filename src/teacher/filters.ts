/** Puts prompts and their teacher's responses together, and counts by reason what got no response. */
import type { AnsweredRow, Counts, PromptRow } from '../data/rows.ts'
import { LabError } from '../errors.ts'
import type { TeacherResponse } from './teacher.ts'

export interface Answered {
  /** In the order of the prompts. */
  readonly rows: readonly AnsweredRow[]
  /** Prompts without a response, by the teacher's reason. */
  readonly dropped: Counts
}

/** Throws INTERNAL if a prompt was answered twice or not at all: a teacher owes exactly one response a prompt. */
export function answeredRows(prompts: readonly PromptRow[], responses: readonly TeacherResponse[]): Answered {
  const byId = new Map(responses.map((response) => [response.id, response]))
  if (byId.size !== responses.length) throw new LabError('INTERNAL', 'a teacher answered a prompt twice')

  const rows: AnsweredRow[] = []
  const dropped: Record<string, number> = {}
  for (const { id, prompt } of prompts) {
    const response = byId.get(id)
    if (response === undefined)
      throw new LabError('INTERNAL', `the teacher left prompt ${id} without a response`)
    if (response.finish === 'error') dropped[response.reason] = (dropped[response.reason] ?? 0) + 1
    else rows.push({ id, prompt, response: response.text, finish: response.finish })
  }
  return { rows, dropped }
}

const folded = (text: string): string => text.trim().replaceAll(/\s+/g, ' ').toLowerCase()

/** Leaves out rows whose question and response are an earlier row's, up to case and white space. */
export function withoutRepeats({ rows, dropped }: Answered): Answered {
  const seen = new Set<string>()
  const kept = rows.filter(({ prompt, response }) => {
    const row = JSON.stringify([folded(prompt), folded(response)])
    return seen.size < seen.add(row).size
  })
  const repeated = rows.length - kept.length
  return { rows: kept, dropped: repeated === 0 ? dropped : { ...dropped, duplicate: repeated } }
}
