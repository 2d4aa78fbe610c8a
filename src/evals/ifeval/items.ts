/** IFEval's items as published: a prompt, its instructions, and the keyword arguments of each. */
import { z } from 'zod'
import { textOrInteger } from '../text-or-integer.ts'
import type { IfevalInstructions } from './verdict.ts'

/** Arguments of one instruction; the copy on the hub has every name in every row, unused ones null. */
const kwargsSchema = z
  .record(z.string(), z.unknown())
  .nullable()
  .transform((kwargs) => kwargs ?? {})

/** One row of `input_data.jsonl`. Instructions and arguments are checked when the item's scorer is made. */
export const ifevalItemSchema: z.ZodType<IfevalItem> = z.strictObject({
  key: textOrInteger,
  prompt: z.string(),
  instruction_id_list: z.array(z.string()).min(1),
  kwargs: z.array(kwargsSchema),
})

export interface IfevalItem extends IfevalInstructions {
  readonly key: string | number
  readonly prompt: string
}
