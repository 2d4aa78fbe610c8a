/** Token ids through a server that takes and gives text only: a text that it reads as these very ids, and the ids of its answer. */
import type { Tokenizer } from '../../model/tokenizer.ts'

type TextTokenizer = Pick<Tokenizer, 'encode' | 'decode' | 'tokenText' | 'opening' | 'encodeCompletion'>

/**
 * The text that becomes `ids` when `transformers` encodes it with the tokenizer's own opening (begin-of-sequence) before it; null where
 * there is none, as with special tokens that a message spells out. Such a prompt must go another way.
 */
export function textOfPrompt(tokenizer: TextTokenizer, ids: readonly number[]): string | null {
  const { opening } = tokenizer
  // The server writes the opening itself: a text that has it too would be read with two.
  if (opening.ids.some((id, i) => ids[i] !== id)) return null
  const rest = ids.slice(opening.ids.length)
  const text = spell(tokenizer, rest)
  return sameIds(tokenizer.encode(text), rest) ? text : null
}

/** The tokens of a response's text, without the end of the turn; null where they do not say the same text. */
export function tokensOfText(tokenizer: TextTokenizer, text: string): number[] | null {
  const tokens = tokenizer.encodeCompletion(text).slice(0, -1)
  return tokenizer.decode(tokens) === text ? tokens : null
}

/** Special tokens by their names, the runs between them decoded. */
function spell(tokenizer: TextTokenizer, ids: readonly number[]): string {
  const isSpecial = (id: number): boolean => tokenizer.decode([id]) === '' && tokenizer.tokenText(id) !== ''
  const pieces: string[] = []
  let run: number[] = []
  for (const id of ids) {
    if (!isSpecial(id)) {
      run.push(id)
      continue
    }
    pieces.push(tokenizer.decode(run), tokenizer.tokenText(id))
    run = []
  }
  return [...pieces, tokenizer.decode(run)].join('')
}

function sameIds(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i])
}
