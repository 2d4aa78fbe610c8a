/** Chat messages and their template: the one that models made here carry, and a renderer for any Hugging Face template. */
import { LabError, messageOf } from '../errors.ts'
import { compileTemplate, type CompiledTemplate, runTemplate, TemplateLimit } from './bounded-template.ts'
import { Environment } from './jinja.ts'
import { firstLine } from './json-file.ts'

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

/** More elements than any conversation has turns; nothing is made of a larger range. */
const longestRange = 10_000

function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop]
  const length = Math.max(0, Math.ceil((to - from) / step))
  if (!(length <= longestRange)) throw new TemplateLimit(`it asks for a range of ${length} numbers`)
  return Array.from({ length }, (_, i) => from + i * step)
}

/**
 * The day that every template is told it is. Llama 3 and others put a date into the system message: today's would make
 * each day's prompts other prompts. It is the date that Llama 3's own template falls back to.
 */
const pinnedDate = '26 Jul 2024'

/** What Python's `strftime` writes for the pinned day at midnight, in the C locale. */
const pinnedCodes: Readonly<Record<string, string>> = {
  Y: '2024',
  y: '24',
  m: '07',
  '-m': '7',
  B: 'July',
  b: 'Jul',
  d: '26',
  '-d': '26',
  j: '208',
  A: 'Friday',
  a: 'Fri',
  H: '00',
  I: '12',
  M: '00',
  S: '00',
  p: 'AM',
  '%': '%',
}

/** `strftime` of the pinned day; a code that is not in the table stays as it is written. */
function strftimePinned(format: string): string {
  return format.replace(/%(-?.)/gs, (code, letter: string) => pinnedCodes[letter] ?? code)
}

/** What Jinja and `transformers` define; no template learns today's date. */
const globals = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception: raiseException,
  range,
  strftime_now: strftimePinned,
  date_string: pinnedDate,
  tools: null,
  documents: null,
}

/** What `chatTemplate` makes, without interpreting it for every row of a dataset. */
const renderOwn: ChatRenderer = (messages, { addGenerationPrompt }) => {
  let text = ''
  for (const { role, content } of messages) text += `<|${role}|>${content}<|end|>`
  return addGenerationPrompt ? `${text}<|assistant|>` : text
}

export type ChatRenderer = (messages: readonly ChatMessage[], options: RenderOptions) => string

/** What every template must be able to say without going out of bounds. */
const probes: readonly (readonly ChatMessage[])[] = [
  [{ role: 'user', content: 'Hello' }],
  [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content: 'Hello.' },
    { role: 'user', content: 'How are you?' },
  ],
]

/**
 * Compiles a chat template and tries it on small conversations. Throws BAD_MODEL if it cannot be parsed, does not end or
 * writes without bound. The renderer throws BAD_MODEL if the template refuses the messages (e.g. a role that it does not know).
 * A template's `trim` knows the white space of JavaScript, which differs from Python's in U+FEFF, U+0085 and U+001C to U+001F.
 */
export function compileChatTemplate(file: string, source: string, tokens: TemplateTokens): ChatRenderer {
  const problem = (what: string, error: unknown): LabError =>
    new LabError('BAD_MODEL', `${file}: its chat template ${what} (${firstLine(messageOf(error))})`, {
      cause: error,
    })
  let template: CompiledTemplate
  try {
    template = compileTemplate(source)
  } catch (error) {
    throw problem(error instanceof TemplateLimit ? 'is refused' : 'cannot be parsed', error)
  }
  if (source === chatTemplate) return renderOwn
  const render: ChatRenderer = (messages, { addGenerationPrompt }) => {
    const environment = new Environment()
    const values = {
      ...globals,
      ...tokens,
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
    }
    for (const [name, value] of Object.entries(values)) environment.set(name, value)
    const characters = messages.reduce((sum, { content }) => sum + content.length, 0)
    try {
      return runTemplate(template, environment, { messages: messages.length, characters })
    } catch (error) {
      throw problem(error instanceof TemplateLimit ? 'is refused' : 'refuses these messages', error)
    }
  }
  for (const messages of probes) {
    try {
      render(messages, { addGenerationPrompt: true })
    } catch (error) {
      // A template may refuse a conversation (a role, an order), and say so when it is given one.
      if (error instanceof LabError && error.cause instanceof TemplateLimit) throw error
    }
  }
  return render
}
