/** The parts of @huggingface/tokenizers that are used here, typed: the package's declarations do not resolve under NodeNext. */
import * as library from '@huggingface/tokenizers'

/** Any step that turns strings into strings; instances are callable, the methods are the same thing by name. */
export interface PreTokenizerStep {
  pre_tokenize_text(text: string): string[]
}

export interface LibraryTokenizer {
  encode(
    text: string,
    options: { add_special_tokens: boolean },
  ): { ids: (number | undefined)[]; tokens: string[] }
  decode(
    ids: number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string
  token_to_id(token: string): number | undefined
  id_to_token(id: number): string | undefined
  get_vocab(): Map<string, number>
  readonly model: { encode(pieces: string[]): string[] }
}

export interface SplitStep extends PreTokenizerStep {
  /** What it searches for; null where the configuration names nothing. */
  readonly pattern: RegExp | null
}

interface Library {
  readonly Tokenizer: new (tokenizerJson: unknown, tokenizerConfig: unknown) => LibraryTokenizer
  readonly SplitPreTokenizer: new (config: unknown) => SplitStep
}

export const { Tokenizer: HfTokenizer, SplitPreTokenizer } = library as unknown as Library
