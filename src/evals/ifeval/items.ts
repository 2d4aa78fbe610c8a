/** Items of the IFEval eval: the published rows (Zhou et al. 2023). */
import { z } from 'zod'

/** One row; entries of `kwargs` may be null, and its values too (absent arguments). */
export const ifevalItemSchema = z
  .object({
    key: z.union([z.string().min(1), z.int()], { error: 'expected a text or a whole number' }),
    prompt: z.string(),
    instruction_id_list: z.array(z.string()),
    kwargs: z.array(
      z
        .record(z.string(), z.unknown())
        .nullable()
        .transform((given) => given ?? {}),
    ),
  })
  .refine((row) => row.instruction_id_list.length === row.kwargs.length, {
    path: ['kwargs'],
    message: 'must have one entry for each instruction',
  })

export type IfevalItem = z.infer<typeof ifevalItemSchema>
