/** What an IFEval checker is: a schema of its keyword arguments and a test of a response. */
import { z } from 'zod'
import { LabError } from '../../errors.ts'

/** Whether a response follows one instruction. Blank responses never reach it. */
export type Test = (response: string) => boolean

/** Builds the test of one instruction from its keyword arguments. Throws BAD_INPUT when they are wrong. */
export type Checker = (kwargs: Readonly<Record<string, unknown>>) => Test

/** A checker from the strict schema of its arguments and a function that prepares its test. */
export function checker<Shape extends z.ZodRawShape>(
  shape: Shape,
  prepare: (args: z.output<z.ZodObject<Shape>>) => Test,
): Checker {
  const schema = z.strictObject(shape)
  return (kwargs) => {
    const parsed = schema.safeParse(kwargs)
    if (!parsed.success) throw new LabError('BAD_INPUT', `bad arguments: ${z.prettifyError(parsed.error)}`)
    return prepare(parsed.data)
  }
}

/** A count to compare with. The reference draws one at random where it is missing or negative; here that is refused. */
export const bound = z.int().nonnegative()

/** The two comparisons that IFEval knows: "at least" includes the bound, "less than" does not. */
export const relation = z.enum(['at least', 'less than'])

export function compare(count: number, how: z.infer<typeof relation>, wanted: number): boolean {
  return how === 'at least' ? count >= wanted : count < wanted
}
