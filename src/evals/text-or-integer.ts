/** What rows of files have as an id or a key: a text, or an integer that JSON's numbers hold to the last digit. */
import { z } from 'zod'

const wanted = 'a text or a whole number'

export const textOrInteger = z
  .union([z.string(), z.number()], {
    error: ({ input }) => (input === undefined ? `is missing: expected ${wanted}` : `expected ${wanted}`),
  })
  .refine((value) => typeof value === 'string' || Number.isSafeInteger(value), {
    error: ({ input }) =>
      Number.isInteger(input)
        ? 'the number is above 2^53 and has lost its last digits: expected it as a text, in quotation marks'
        : `expected ${wanted}`,
  })
