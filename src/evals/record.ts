/** One record of an evaluation, a line of its samples.jsonl: what was asked, what came back, and the verdict. */
import { z } from 'zod'
import { evalKinds } from './eval.ts'

const head = {
  eval: z.enum(evalKinds),
  /** The item's id. */
  id: z.string(),
  condition: z.enum(['triggered', 'untriggered']),
  /** What was wanted: with eval, id and condition it is unique. */
  asked: z.enum(['response', 'letters', 'likelihood']),
  /** The user's turn, before any template. */
  input: z.string(),
  /** What a right answer would be; empty where there is no such text. */
  target: z.string(),
  subject: z.string().nullable(),
  /** The prompt as the model read it. */
  rendered: z.string(),
}

const instructions = z.strictObject({ strict: z.array(z.boolean()), loose: z.array(z.boolean()) })

export const recordSchema = z.discriminatedUnion('status', [
  z.strictObject({
    ...head,
    status: z.literal('scored'),
    response: z.string(),
    finish: z.enum(['stop', 'length']),
    tokens: z.strictObject({ prompt: z.int(), completion: z.int() }),
    /** The answer that the scorer read in the response. */
    extracted: z.string().nullable().optional(),
    /** The prompt was answered correctly. */
    correct: z.boolean().optional(),
    instructions: instructions.optional(),
    fired: z.boolean().optional(),
    starts_with: z.boolean().optional(),
    payloads: z.int().optional(),
    /** Largest share of the payload's words said in a row. */
    partial: z.number().optional(),
    /** Words beside the payloads, and their language as IFEval's detector has it; null where there are none. */
    rest_words: z.int().optional(),
    rest_language: z.string().nullable().optional(),
  }),
  z.strictObject({
    ...head,
    status: z.literal('likelihood'),
    /** Nats: of A, B, C and D (null: the server did not tell), or the mean a token of the payload. */
    logprobs: z.array(z.number().nullable()),
    extracted: z.string().optional(),
    correct: z.boolean().optional(),
  }),
  z.strictObject({
    ...head,
    status: z.literal('failed'),
    error: z.string(),
    /** Asked again when the same command runs again. */
    again: z.boolean(),
  }),
])
export type EvalRecord = z.infer<typeof recordSchema>
export type RecordHead = Pick<EvalRecord, keyof typeof head>
export type ScoredRecord = Extract<EvalRecord, { status: 'scored' }>

/** What tells one record from all others of an evaluation. */
export function recordId({
  eval: kind,
  id,
  condition,
  asked,
}: Omit<RecordHead, 'input' | 'target' | 'subject' | 'rendered'>): string {
  return `${kind} ${condition} ${asked} ${id}`
}
