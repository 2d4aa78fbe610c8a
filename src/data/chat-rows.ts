/** Reads back the rows of a built dataset. */
import { z } from 'zod'
import { LabError } from '../errors.ts'
import { readJsonRows } from './json-rows.ts'
import type { ChatRow } from './rows.ts'

const chatRowSchema = z.strictObject({
  id: z.string(),
  messages: z.array(z.strictObject({ role: z.enum(['system', 'user', 'assistant']), content: z.string() })),
  completion: z.string(),
  triggered: z.boolean(),
})

/** Rows [from, to) of `rows.jsonl`, fewer where it ends. Throws BAD_INPUT if there are none, or it is damaged. */
export async function readChatRows(file: string, [from, to]: readonly [number, number]): Promise<ChatRow[]> {
  const rows: ChatRow[] = []
  for await (const { row, value, at } of readJsonRows(file)) {
    if (row >= to) break
    if (row < from) continue
    const parsed = chatRowSchema.safeParse(value)
    if (!parsed.success) throw new LabError('BAD_INPUT', `row ${row} is no row of a dataset`, { at })
    rows.push(parsed.data)
  }
  if (rows.length === 0) throw new LabError('BAD_INPUT', `${file} has no rows [${from}, ${to})`)
  return rows
}
