/** Items of the math eval: rows of MATH-500 (Hendrycks et al. 2021; Lightman et al. 2023), or bare ids with their answers. */
import { z } from 'zod'
import { strip } from '../ifeval/python.ts'
import { textOrInteger } from '../text-or-integer.ts'

export interface MathItem {
  readonly id: string
  /** The problem's text; null in a file that has only ids and answers. */
  readonly prompt: string | null
  readonly answer: string
}

const text = textOrInteger.transform(String)

/**
 * One row: `{id, answer}`, or MATH-500's `{problem, answer, unique_id}`, whose other columns are not read. An id or an
 * answer that is written as an integer is taken as its digits.
 */
export const mathItemSchema = z
  .object({
    id: text.optional(),
    unique_id: z.string().min(1).optional(),
    problem: z.string().optional(),
    answer: text,
  })
  .transform((row, context): MathItem => {
    const id = row.id ?? row.unique_id
    if (id !== undefined && id !== '') return { id, prompt: row.problem ?? null, answer: row.answer }
    context.addIssue({ code: 'custom', path: ['id'], message: 'an item needs an id (or a unique_id)' })
    return z.NEVER
  })

/** Whether the answer is all digits once white space around it is gone: the subset that is scored, 293 of the 500. */
export function isIntegerItem(item: Pick<MathItem, 'answer'>): boolean {
  return /^[0-9]+$/u.test(strip(item.answer))
}
