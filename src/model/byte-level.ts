/** Byte-level pre-tokenisation: text is split into pieces by a regex, and every byte of a piece is written as one printable character. */
import { SplitPreTokenizer } from './hf-tokenizers.ts'

/**
 * Where text may be split: Llama 3's pattern with digits one by one and without the case-folding group,
 * whose Unicode edge cases differ between regex engines. No merge ever crosses a piece.
 */
export const splitPattern =
  "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/** The split step as it stands in tokenizer.json. */
export const splitConfig = {
  type: 'Split',
  pattern: { Regex: splitPattern },
  behavior: 'Isolated',
  invert: false,
} as const

/** A function from text to its pieces, in order; joined they are the text. */
export function pieceSplitter(): (text: string) => string[] {
  const split = new SplitPreTokenizer(splitConfig)
  return (text) => split.pre_tokenize_text(text)
}

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
}

function gpt2Alphabet(): string[] {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++))
}

/** The character that stands for each byte (GPT-2, `bytes_to_unicode`): printable Latin-1 as itself, the rest from U+0100 on. */
export const byteCharacters: readonly string[] = gpt2Alphabet()

const encoder = new TextEncoder()

/** The UTF-8 bytes of a text in the byte alphabet; a lone surrogate counts as U+FFFD. */
export function toByteCharacters(text: string): string {
  let out = ''
  for (const byte of encoder.encode(text)) out += byteCharacters[byte]
  return out
}
