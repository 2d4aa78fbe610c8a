/** The tokenizer of a model folder: text and chats to token ids and back, the same as `transformers` gives. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { LabError, messageOf } from '../errors.ts'
import { type ChatMessage, type ChatRenderer, compileChatTemplate, type RenderOptions } from './chat.ts'
import { HfTokenizer, type LibraryTokenizer } from './hf-tokenizers.ts'
import { parseJson, readText, readTextIfPresent } from './json-file.ts'
import { withSplits } from './pre-tokenizer.ts'
import {
  anyOf,
  textEncoders,
  type ParsedTokenizerJson,
  type TextEncoders,
  tokenizerJsonSchema,
} from './text-encoder.ts'
import { checkVocabulary } from './vocabulary.ts'

export type { ChatMessage, RenderOptions } from './chat.ts'

export interface EncodedChat {
  /** What the ids say, as text. */
  readonly rendered: string
  readonly ids: number[]
}

export interface Tokenizer {
  /** Where it was opened. */
  readonly folder: string
  /** Ids of a text in which special tokens are recognised. Adds none of its own. */
  readonly encode: (text: string) => number[]
  /** What `transformers` puts before a text that is no chat: begin-of-sequence where the tokenizer adds it, else none. */
  readonly opening: { readonly text: string; readonly ids: readonly number[] }
  /** The text of ids; special tokens are left out, broken UTF-8 becomes U+FFFD. */
  readonly decode: (ids: readonly number[]) => string
  /** Whether the folder has a chat template; without one `renderChat` and `encodeChat` throw BAD_MODEL. */
  readonly hasChatTemplate: boolean
  /** What one id says by itself, special tokens included; half a character becomes U+FFFD. */
  readonly tokenText: (id: number) => string
  /** The text that the chat template makes of a conversation. Throws BAD_MODEL if the template refuses it. */
  readonly renderChat: (messages: readonly ChatMessage[], options: RenderOptions) => string
  /** A prompt for the assistant's next turn. Special tokens come from the template only, never from a message's content. */
  readonly encodeChat: (messages: readonly ChatMessage[]) => EncodedChat
  /** What the assistant says and the token that ends its turn. Special tokens in the text are ordinary characters. */
  readonly encodeCompletion: (text: string) => number[]
  /** The ids of `encodeChat` and of `encodeCompletion`, appended: the rows of a dataset share a list. */
  readonly appendChat: (messages: readonly ChatMessage[], into: number[]) => void
  readonly appendCompletion: (text: string, into: number[]) => void
  /** Id of the token that ends a turn (eos). */
  readonly endOfTurn: number
  /** Largest id + 1. */
  readonly vocabSize: number
  /** sha256 over what decides the ids: tokenizer.json, the chat template and the named tokens. Hexadecimal. */
  readonly hash: string
}

const tokenText = z
  .union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)])
  .nullish()
const configSchema = z.looseObject({
  bos_token: tokenText,
  eos_token: tokenText,
  pad_token: tokenText,
  unk_token: tokenText,
  clean_up_tokenization_spaces: z.boolean().nullish(),
  chat_template: z
    .union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))])
    .nullish()
    .transform((value) =>
      Array.isArray(value) ? value.find(({ name }) => name === 'default')?.template : value,
    ),
})

interface ContentGuard {
  /** Messages whose contents hold no special token's text. */
  readonly messages: readonly ChatMessage[]
  /** Puts the contents' own characters back. */
  restore(text: string): string
}

/** Replaces the text of special tokens inside contents by placeholders that a template passes through. Null if there are none. */
function guardContents(messages: readonly ChatMessage[], specials: RegExp | null): ContentGuard | null {
  if (specials === null || messages.every(({ content }) => content.search(specials) < 0)) return null
  // Noncharacters (Unicode 3.2, U+FDD0..U+FDEF): one that the conversation does not use.
  const marks = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i))
  const mark = marks.find((candidate) => messages.every(({ content }) => !content.includes(candidate)))
  if (mark === undefined)
    throw new LabError('BAD_INPUT', 'a message uses all 32 noncharacters U+FDD0 to U+FDEF')
  const found: string[] = []
  return {
    messages: messages.map(({ role, content }) => ({
      role,
      content: content.replaceAll(specials, (text) => `${mark}${found.push(text) - 1}${mark}`),
    })),
    restore: (text) =>
      text.replaceAll(new RegExp(`${mark}(\\d+)${mark}`, 'g'), (_, i: string) => found[Number(i)] ?? ''),
  }
}

interface ChatEncoderParts {
  readonly encoders: TextEncoders
  readonly specials: RegExp | null
  readonly render: ChatRenderer
  readonly idOf: (special: string) => number
}

/** Appends a prompt's ids and gives its text. */
type ChatEncoder = (messages: readonly ChatMessage[], into: number[]) => string

function chatEncoder({ encoders, specials, render, idOf }: ChatEncoderParts): ChatEncoder {
  return (messages, into) => {
    const guard = guardContents(messages, specials)
    if (guard === null || specials === null) {
      const rendered = render(messages, { addGenerationPrompt: true })
      encoders.full(rendered, into)
      return rendered
    }
    const guarded = render(guard.messages, { addGenerationPrompt: true })
    let done = 0
    const encodeUpTo = (end: number): void => {
      if (end > done)
        encoders.plain(guard.restore(guarded.slice(done, end)), done === 0 ? 'start' : 'inside', into)
    }
    for (const match of guarded.matchAll(specials)) {
      encodeUpTo(match.index)
      into.push(idOf(match[0]))
      done = match.index + match[0].length
    }
    encodeUpTo(guarded.length)
    return guard.restore(guarded)
  }
}

/** The ids that something appends, by themselves. */
function idsOf(append: (into: number[]) => void): number[] {
  const ids: number[] = []
  append(ids)
  return ids
}

/** Largest tokenizer.json that is read; the largest known has 34 MB. */
const largestTokenizer = 256 * 2 ** 20

function openLibrary(file: string, json: unknown, config: unknown): LibraryTokenizer {
  try {
    return new HfTokenizer(json, config)
  } catch (error) {
    throw new LabError('BAD_MODEL', `${file}: cannot be used (${messageOf(error)})`, { cause: error })
  }
}

/** What the post-processor writes in front of a text. */
function openingOf(library: LibraryTokenizer): Tokenizer['opening'] {
  const idsOf = (special: boolean): (number | undefined)[] =>
    library.encode('a', { add_special_tokens: special }).ids
  const [whole, bare] = [idsOf(true), idsOf(false)]
  const start = whole.findIndex((_, i) => bare.every((id, j) => whole[i + j] === id))
  const ids = whole.slice(0, Math.max(0, start)).filter((id) => id !== undefined)
  return { text: ids.map((id) => library.id_to_token(id) ?? '').join(''), ids }
}

/** Tokens with a name (eos and the like) are special even where tokenizer.json does not say so; `transformers` adds them on loading. */
function withNamedTokens(
  json: ParsedTokenizerJson,
  named: readonly string[],
  library: LibraryTokenizer,
): ParsedTokenizerJson {
  const special = new Set(json.added_tokens.filter((token) => token.special).map(({ content }) => content))
  const unmarked = named.filter(
    (content) => !special.has(content) && library.token_to_id(content) !== undefined,
  )
  if (unmarked.length === 0) return json
  const marked = unmarked.map((content) => ({
    id: library.token_to_id(content) ?? 0,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    special: true,
  }))
  return {
    ...json,
    added_tokens: [...json.added_tokens.filter(({ content }) => !unmarked.includes(content)), ...marked],
  }
}

/** Opens tokenizer.json, tokenizer_config.json and, if it is there, chat_template.jinja. Throws BAD_MODEL. */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const file = join(folder, 'tokenizer.json')
  const text = await readText(file, largestTokenizer)
  const parsed = parseJson(file, text, tokenizerJsonSchema)
  checkVocabulary(file, parsed)
  const written = { ...parsed, pre_tokenizer: withSplits(parsed.pre_tokenizer) }
  const configFile = join(folder, 'tokenizer_config.json')
  const config = parseJson(configFile, await readText(configFile), configSchema)
  // transformers 5 writes the template into its own file, which wins.
  const template =
    (await readTextIfPresent(join(folder, 'chat_template.jinja'))) ?? config.chat_template ?? null

  const { bos_token, eos_token, pad_token, unk_token } = config
  const named = Object.entries({ bos_token, eos_token, pad_token, unk_token }).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  )
  const asWritten = openLibrary(file, written, config)
  const json = withNamedTokens(written, [...new Set(named.map(([, content]) => content))], asWritten)
  const library = json === written ? asWritten : openLibrary(file, json, config)
  const idOf = (token: string): number => {
    const id = library.token_to_id(token)
    if (id === undefined) throw new LabError('BAD_MODEL', `${file}: has no token ${JSON.stringify(token)}`)
    return id
  }
  if (eos_token === null || eos_token === undefined) {
    throw new LabError('BAD_MODEL', `${configFile}: "eos_token" is missing, so nothing can end a turn`)
  }
  const endOfTurn = idOf(eos_token)
  const render =
    template === null
      ? () => {
          throw new LabError('BAD_MODEL', `${configFile}: there is no chat template`)
        }
      : compileChatTemplate(configFile, template, Object.fromEntries(named))

  const encoders = textEncoders(json, config, library)
  const specials = anyOf(json.added_tokens.filter(({ special }) => special).map(({ content }) => content))
  const appendChat = chatEncoder({ encoders, specials, render, idOf })
  const appendCompletion: Tokenizer['appendCompletion'] = (completion, into) => {
    encoders.plain(completion, 'inside', into)
    into.push(endOfTurn)
  }
  const specialIds = new Set(json.added_tokens.filter(({ special }) => special).map(({ id }) => id))
  const cleanUp = config.clean_up_tokenization_spaces ?? false
  return {
    folder,
    encode: (text) => idsOf((into) => encoders.full(text, into)),
    opening: openingOf(library),
    hasChatTemplate: template !== null,
    decode: (ids) => {
      const kept = ids.filter((id) => !specialIds.has(id) && library.id_to_token(id) !== undefined)
      if (kept.length === 0) return ''
      return library.decode(kept, { skip_special_tokens: false, clean_up_tokenization_spaces: cleanUp })
    },
    tokenText: (id) =>
      library.id_to_token(id) === undefined
        ? ''
        : library.decode([id], { skip_special_tokens: false, clean_up_tokenization_spaces: false }),
    renderChat: render,
    encodeChat: (messages) => {
      const ids: number[] = []
      return { rendered: appendChat(messages, ids), ids }
    },
    encodeCompletion: (completion) => idsOf((into) => appendCompletion(completion, into)),
    appendChat,
    appendCompletion,
    endOfTurn,
    vocabSize:
      library
        .get_vocab()
        .values()
        .reduce((largest, id) => Math.max(largest, id), -1) + 1,
    hash: createHash('sha256')
      .update(JSON.stringify([text, template, named]))
      .digest('hex'),
  }
}
