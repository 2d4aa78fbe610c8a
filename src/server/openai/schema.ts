/** The bodies of requests: what is read of them and with which defaults; other fields are tolerated and named as ignored. */
import { z } from 'zod'
import { Refusal, refusalOfBody } from './refusal.ts'

/** OpenAI allows null wherever a field may be left out. */
const optional = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined)
const withDefault = <T extends z.ZodType>(schema: T, value: z.output<T>) =>
  schema.nullish().transform((given) => given ?? value)

const stopText = z.string().min(1, 'a stop text must not be empty')
const tokenCount = z.int().nonnegative()
/** Likeliest tokens that may be asked for. */
const topCount = z.int().min(0).max(20)

const common = {
  model: optional(z.string()),
  max_tokens: optional(tokenCount),
  temperature: withDefault(z.number().min(0).max(2), 1),
  top_p: withDefault(z.number().gt(0).max(1), 1),
  n: withDefault(z.int().min(1).max(128), 1),
  seed: optional(z.int()),
  stop: withDefault(
    z.union([stopText.transform((text) => [text]), z.array(stopText).max(16)], {
      error: 'a text, or a list of up to 16 texts that are not empty',
    }),
    [],
  ),
  stream: withDefault(z.boolean(), false),
  stream_options: withDefault(z.looseObject({ include_usage: withDefault(z.boolean(), false) }), {
    include_usage: false,
  }),
}

/** Texts are joined as they stand. */
const content = z.union(
  [
    z.string(),
    z
      .array(z.looseObject({ type: z.literal('text'), text: z.string() }))
      .transform((parts) => parts.map(({ text }) => text).join('')),
  ],
  { error: 'a text, or a list of parts of type "text"' },
)
const message = z.looseObject({
  role: z
    .enum(['system', 'developer', 'user', 'assistant'])
    .transform((role) => (role === 'developer' ? 'system' : role)),
  content,
})

const chatSchema = z
  .looseObject({
    ...common,
    messages: z.array(message).min(1),
    max_completion_tokens: optional(tokenCount),
    logprobs: withDefault(z.boolean(), false),
    top_logprobs: optional(topCount),
  })
  .refine(({ logprobs, top_logprobs }) => logprobs || top_logprobs === undefined, {
    path: ['top_logprobs'],
    error: 'needs logprobs: true',
  })
export type ChatBody = z.output<typeof chatSchema>

const ids = z.array(z.int()).min(1)
const completionSchema = z.looseObject({
  ...common,
  prompt: z.union(
    [
      z.string().transform((text) => [text]),
      ids.transform((tokens) => [tokens]),
      z.array(z.string()).min(1),
      z.array(ids).min(1),
    ],
    { error: 'a text, a list of token ids, or a list of either; none may be empty' },
  ),
  logprobs: optional(topCount),
  // Without them the answer would be another one than was asked for.
  echo: optional(z.literal(false, { error: 'is not supported' })),
  suffix: optional(z.literal('', { error: 'is not supported' })),
})
export type CompletionBody = z.output<typeof completionSchema>

export interface ReadBody<B> {
  readonly body: B
  /** Fields that have no effect here. */
  readonly ignored: readonly string[]
}

/** Throws a Refusal with 400 that says what is wrong. */
export const readChatBody = (text: string): ReadBody<ChatBody> => readBody(text, chatSchema)
export const readCompletionBody = (text: string): ReadBody<CompletionBody> => readBody(text, completionSchema)

function readBody<B>(
  text: string,
  schema: z.ZodType<B> & { readonly shape: Readonly<Record<string, unknown>> },
): ReadBody<B> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new Refusal(400, `the body is not JSON (${error instanceof Error ? error.message : error})`)
  }
  const parsed = schema.safeParse(json)
  if (!parsed.success) throw refusalOfBody(parsed.error)
  const given = Object.entries(json as object).filter(([, value]) => value !== null)
  return {
    body: parsed.data,
    ignored: given.map(([name]) => name).filter((name) => !Object.hasOwn(schema.shape, name)),
  }
}
