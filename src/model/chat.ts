/** Chat messages and their template: the one that models made here carry, and a renderer for any Hugging Face template. */
import { Environment, Interpreter, Template } from '@huggingface/jinja'
import { LabError, messageOf } from '../errors.ts'

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

export interface RenderOptions {
  /** End with the opening of the assistant's turn. */
  readonly addGenerationPrompt: boolean
}

/** Special tokens of models made here; the place in the list is the id. */
export const chatSpecials = ['<|pad|>', '<|system|>', '<|user|>', '<|assistant|>', '<|end|>'] as const
export const padToken = '<|pad|>'
export const endToken = '<|end|>'

/** Each turn is `<|role|>content<|end|>`; generation starts after `<|assistant|>`. */
export const chatTemplate =
  "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"

/** Tokens that templates may name, e.g. `bos_token`; those that the model lacks are left out, as `transformers` does. */
export type TemplateTokens = Readonly<Record<string, string>>

/** What templates call to refuse a conversation. */
function raiseException(message: unknown): never {
  throw new Error(String(message))
}

function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop]
  return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => from + i * step)
}

/** What Jinja and `transformers` define, but for `strftime_now`: no template may put today's date into a prompt. */
const globals = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception: raiseException,
  range,
}

export type ChatRenderer = (messages: readonly ChatMessage[], options: RenderOptions) => string

/**
 * Compiles a chat template. The renderer throws BAD_MODEL if the template refuses the messages (e.g. a role that it does not know).
 * A template's `trim` knows the white space of JavaScript, which differs from Python's in U+FEFF, U+0085 and U+001C to U+001F.
 */
export function compileChatTemplate(file: string, source: string, tokens: TemplateTokens): ChatRenderer {
  let program: Template['parsed']
  try {
    program = new Template(source).parsed
  } catch (error) {
    throw new LabError('BAD_MODEL', `${file}: its chat template cannot be parsed (${messageOf(error)})`, {
      cause: error,
    })
  }
  return (messages, { addGenerationPrompt }) => {
    const environment = new Environment()
    const values = {
      ...globals,
      ...tokens,
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
    }
    for (const [name, value] of Object.entries(values)) environment.set(name, value)
    try {
      return String(new Interpreter(environment).run(program).value)
    } catch (error) {
      throw new LabError(
        'BAD_MODEL',
        `${file}: its chat template refuses these messages (${messageOf(error)})`,
        { cause: error },
      )
    }
  }
}
