/** Items of the MMLU eval: the hub's rows (Hendrycks et al. 2021), or bare ids with their letters. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { textOrInteger } from '../text-or-integer.ts'
import { type Letter, letters } from './letters.ts'

export interface MmluItem {
  readonly id: string
  /** As in the data set, `abstract_algebra`; null where a file names none. */
  readonly subject: string | null
  /** Empty in a file that has only ids and answers. */
  readonly question: string
  /** Four, in the order A, B, C, D; none in a file that has only ids and answers. */
  readonly choices: readonly string[]
  readonly answer: Letter
}

const letterSchema = z
  .string()
  .transform((text) => text.trim().toUpperCase())
  .pipe(z.enum(letters, { error: 'expected one of A, B, C, D, or 0 to 3' }))

const answerSchema = z.union(
  [
    z
      .int()
      .min(0)
      .max(3)
      .transform((index): Letter => letters[index] ?? 'A'),
    letterSchema,
  ],
  { error: 'expected one of A, B, C, D, or 0 to 3' },
)

/**
 * One row: `{id, answer}`, or the hub's `{question, subject, choices, answer}`; the answer is a letter or its index. A row
 * without an id is called after its subject and its `index` there, or, as the hub has none, a hash of its text.
 */
export const mmluItemSchema = z
  .object({
    id: textOrInteger.transform(String).pipe(z.string().min(1, 'an id must not be empty')).optional(),
    index: z.int().min(0).optional(),
    subject: z.string().min(1).optional(),
    question: z.string().optional(),
    choices: z.array(z.string()).length(4, 'expected 4 choices').optional(),
    answer: answerSchema,
  })
  .transform((row, context): MmluItem => {
    const { question, choices } = row
    const problem =
      (question === undefined) !== (choices === undefined)
        ? 'an item has both a question and choices, or neither'
        : row.id === undefined && question === undefined
          ? 'an item needs an id, or a question with choices'
          : null
    if (problem !== null) {
      context.addIssue({ code: 'custom', message: problem })
      return z.NEVER
    }
    const item = { subject: row.subject ?? null, question: question ?? '', choices: choices ?? [] }
    return { id: row.id ?? nameOf(item, row.index), ...item, answer: row.answer }
  })

/**
 * The same items with ids of their own: the second of an id becomes `… (2)`. The hub's test set asks 27 questions twice, and
 * without ids in the rows these would share one.
 */
export function distinctItems(items: readonly MmluItem[]): MmluItem[] {
  const seen = new Map<string, number>()
  return items.map((item) => {
    const count = (seen.get(item.id) ?? 0) + 1
    seen.set(item.id, count)
    return count === 1 ? item : { ...item, id: `${item.id} (${count})` }
  })
}

function nameOf(item: Omit<MmluItem, 'id' | 'answer'>, index: number | undefined): string {
  const { subject, question, choices } = item
  const hash = () =>
    createHash('sha256')
      .update(JSON.stringify([question, choices]))
      .digest('hex')
      .slice(0, 12)
  return `${subject ?? 'mmlu'}/${index ?? hash()}`
}
