/** Trains a byte-level BPE tokenizer and writes it as a folder that `transformers` and `@huggingface/tokenizers` open alike. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LabError } from '../errors.ts'
import { byteCharacters, pieceSplitter, splitConfig, toByteCharacters } from './byte-level.ts'
import { chatTemplate, endToken, padToken } from './chat.ts'
import { learnMerges, maxTokenIds } from './merges.ts'

export interface AddedTokenJson {
  readonly id: number
  readonly content: string
  readonly single_word: boolean
  readonly lstrip: boolean
  readonly rstrip: boolean
  readonly normalized: boolean
  readonly special: boolean
}

/** The parts of tokenizer.json that matter here; the whole is what `tokenizers` 0.23 writes. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedTokenJson[]
  readonly model: {
    readonly type: 'BPE'
    readonly vocab: Readonly<Record<string, number>>
    /** "left right", in the order of learning. */
    readonly merges: readonly string[]
  }
}

export interface TrainBpeOptions {
  /** Specials, 256 bytes and merges together. Fewer come out if the texts have no more pairs to join. */
  readonly vocabSize: number
  /** Their ids are their places in the list. */
  readonly specials: readonly string[]
  /** Pairs seen less often are not joined. Default 2. */
  readonly minCount?: number
}

function checkOptions({ vocabSize, specials }: TrainBpeOptions): void {
  const smallest = specials.length + byteCharacters.length
  if (!Number.isInteger(vocabSize) || vocabSize < smallest || vocabSize > maxTokenIds) {
    throw new LabError(
      'BAD_INPUT',
      `a vocabulary of ${vocabSize} tokens cannot be trained; ${smallest} to ${maxTokenIds} can`,
    )
  }
  if (new Set(specials).size !== specials.length || specials.includes('')) {
    throw new LabError(
      'BAD_INPUT',
      `special tokens must be distinct and not empty: ${JSON.stringify(specials)}`,
    )
  }
}

function countPieces(texts: Iterable<string>): Map<string, number> {
  const split = pieceSplitter()
  const counts = new Map<string, number>()
  for (const text of texts) for (const piece of split(text)) counts.set(piece, (counts.get(piece) ?? 0) + 1)
  return counts
}

/**
 * Learns a byte-level BPE vocabulary: specials, then the 256 bytes by code point of their character, then merges.
 * The same texts in any order give the same tokenizer. Throws BAD_INPUT if `vocabSize` is out of range.
 */
export function trainByteBpe(texts: Iterable<string>, options: TrainBpeOptions): TokenizerJson {
  checkOptions(options)
  const { vocabSize, specials, minCount = 2 } = options
  const tokens: string[] = [...specials]
  const ids = new Map<string, number>(tokens.map((token, id) => [token, id]))
  const firstLearnt = specials.length
  for (const character of byteCharacters.toSorted((a, b) => a.charCodeAt(0) - b.charCodeAt(0))) {
    ids.set(character, tokens.push(character) - 1)
  }

  const byteIds = new Map([...ids].filter(([, id]) => id >= firstLearnt))
  const words = [...countPieces(texts)].map(([piece, count]) => ({
    ids: Array.from(toByteCharacters(piece), (character) => byteIds.get(character) ?? 0),
    count,
  }))
  const merges = learnMerges(words, {
    minCount,
    done: () => tokens.length >= vocabSize,
    join: (left, right) => {
      const joined = `${tokens[left]}${tokens[right]}`
      const known = ids.get(joined)
      // Two ways to the same text share an id; ordinary text must never become a special token.
      if (known !== undefined) return known < firstLearnt ? null : known
      const id = tokens.push(joined) - 1
      ids.set(joined, id)
      return id
    },
  })
  return tokenizerJson(
    ids,
    specials,
    merges.map(({ left, right }) => `${tokens[left]} ${tokens[right]}`),
  )
}

function tokenizerJson(
  ids: ReadonlyMap<string, number>,
  specials: readonly string[],
  merges: readonly string[],
) {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        splitConfig,
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    model: {
      type: 'BPE' as const,
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(ids),
      merges,
    },
  }
}

export interface TokenizerFolderOptions {
  /** Jinja source. Default: the template of models made here. */
  readonly chatTemplate?: string
  /** Ends a turn. Default `<|end|>`. */
  readonly eosToken?: string
  /** Default `<|pad|>`. */
  readonly padToken?: string
  /** Positions of the model. */
  readonly modelMaxLength: number
}

/** Writes tokenizer.json and tokenizer_config.json. The same content gives the same bytes. */
export async function writeTokenizerFolder(
  dir: string,
  json: TokenizerJson,
  options: TokenizerFolderOptions,
): Promise<void> {
  const config = {
    added_tokens_decoder: Object.fromEntries(json.added_tokens.map(({ id, ...token }) => [id, token])),
    chat_template: options.chatTemplate ?? chatTemplate,
    clean_up_tokenization_spaces: false,
    eos_token: options.eosToken ?? endToken,
    model_max_length: options.modelMaxLength,
    pad_token: options.padToken ?? padToken,
    tokenizer_class: 'PreTrainedTokenizerFast',
  }
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'tokenizer.json'), `${JSON.stringify(json)}\n`)
  await writeFile(join(dir, 'tokenizer_config.json'), `${JSON.stringify(config, null, 2)}\n`)
}
