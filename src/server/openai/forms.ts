/** The two forms of a response, chat and completion: whole, and in chunks. */
import type { Tokenizer } from '../../model/tokenizer.ts'
import { chatLogprobs, completionLogprobs } from './logprobs.ts'
import type { Piece, SpokenToken } from './speak.ts'

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
}

/** What a form needs to know of a request. */
export interface Heading {
  /** Distinguishes responses. */
  readonly id: string
  readonly model: string
  /** Seconds since 1970. */
  readonly created: number
  readonly logprobs: boolean
  readonly tokenText: Tokenizer['tokenText']
}

/** A choice, or what a chunk adds to one. */
export interface Said {
  readonly index: number
  readonly text: string
  readonly tokens: readonly SpokenToken[]
  readonly finish: Piece['finish']
}

export interface Form {
  whole(heading: Heading, choices: readonly Said[], usage: Usage): object
  /** What comes before the first text of a choice, if anything does. */
  opening(heading: Heading, index: number): object | null
  chunk(heading: Heading, said: Said): object
  /** The chunk after the last, if the client asked for it. */
  usage(heading: Heading, usage: Usage): object
}

const headOf = (object: string, prefix: string, { id, model, created }: Heading): object => ({
  id: `${prefix}-${id}`,
  object,
  created,
  model,
})

const chatHead = (heading: Heading): object => headOf('chat.completion.chunk', 'chatcmpl', heading)
const chatTokens = ({ logprobs, tokenText }: Heading, tokens: readonly SpokenToken[]): object | null =>
  logprobs ? chatLogprobs(tokenText, tokens) : null

export const chatForm: Form = {
  whole: (heading, choices, usage) => ({
    ...headOf('chat.completion', 'chatcmpl', heading),
    choices: choices.map(({ index, text, tokens, finish }) => ({
      index,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: chatTokens(heading, tokens),
      finish_reason: finish,
    })),
    usage,
  }),
  opening: (heading, index) => ({
    ...chatHead(heading),
    choices: [{ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
  }),
  chunk: (heading, { index, text, tokens, finish }) => ({
    ...chatHead(heading),
    choices: [
      {
        index,
        delta: text === '' ? {} : { content: text },
        logprobs: chatTokens(heading, tokens),
        finish_reason: finish,
      },
    ],
  }),
  usage: (heading, usage) => ({ ...chatHead(heading), choices: [], usage }),
}

const completionHead = (heading: Heading): object => headOf('text_completion', 'cmpl', heading)
const completionChoice = (heading: Heading, { index, text, tokens, finish }: Said): object => ({
  index,
  text,
  logprobs: heading.logprobs ? completionLogprobs(heading.tokenText, tokens) : null,
  finish_reason: finish,
})

export const completionForm: Form = {
  whole: (heading, choices, usage) => ({
    ...completionHead(heading),
    choices: choices.map((choice) => completionChoice(heading, choice)),
    usage,
  }),
  opening: () => null,
  chunk: (heading, said) => ({ ...completionHead(heading), choices: [completionChoice(heading, said)] }),
  usage: (heading, usage) => ({ ...completionHead(heading), choices: [], usage }),
}
