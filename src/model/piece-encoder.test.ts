/** Tests that pieces found here are the library's, for the patterns whose words need no regular expression and for others. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { splitPattern, toByteCharacters } from './byte-level.ts'
import { trainByteBpe } from './bpe.ts'
import { bytePairMerger } from './byte-pairs.ts'
import { HfTokenizer, SplitPreTokenizer } from './hf-tokenizers.ts'
import { pieceEncoder } from './piece-encoder.ts'
import { gpt2Pattern } from './pre-tokenizer.ts'

const json = trainByteBpe(
  ['the theatre then', "it's the sea, we'll see", 'mississippi missing', 'ä ö ä ö', '1234 😀😀'].flatMap(
    (text) => [text, text],
  ),
  { vocabSize: 340, specials: ['<|end|>'] },
)
const library = new HfTokenizer(json, {})

const isolated = (Regex: string): unknown => ({
  type: 'Split',
  pattern: { Regex },
  behavior: 'Isolated',
  invert: false,
})

const llama3Pattern = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

/** By the library's splitting and merging alone. */
function idsByLibrary(text: string, splits: readonly unknown[]): (number | undefined)[] {
  const steps = splits.map((split) => new SplitPreTokenizer(split))
  const pieces = steps.reduce((parts, step) => parts.flatMap((part) => step.pre_tokenize_text(part)), [text])
  return pieces
    .filter((piece) => piece !== '')
    .flatMap((piece) => library.model.encode([toByteCharacters(piece)]))
    .map((token) => library.token_to_id(token))
}

const text = fc.oneof(
  fc.string({
    unit: fc.constantFrom(..."theaismp 's LLé1٣,.\n\t\u00a0\u0301ä😀ſK-".split('')),
    maxLength: 60,
  }),
  fc
    .array(
      fc.constantFrom(
        'the',
        ' theatre',
        " it'S",
        'é',
        ' é',
        'aé',
        ' a\u0301',
        '12345',
        '  ',
        '\r\n',
        '--',
        '\ud83d',
        '日本',
      ),
    )
    .map((parts) => parts.join('')),
)

describe.each([
  ['ours', [isolated(splitPattern)]],
  ['GPT-2', [isolated(gpt2Pattern)]],
  ['Llama 3', [isolated(llama3Pattern)]],
  ['Qwen', [isolated(llama3Pattern.replace('{1,3}', ''))]],
  ['digits, then GPT-2 (SmolLM2)', [isolated(String.raw`\p{N}`), isolated(gpt2Pattern)]],
  ['a pattern that leaves gaps', [isolated(String.raw`\p{N}+`)]],
  ['a pattern that cuts words', [isolated(String.raw`[a-s]+|[^a-s]+`)]],
  ['a pattern that may match nothing', [isolated(String.raw`[a-s]*`)]],
  ['pieces that are taken out', [{ ...(isolated(String.raw`\s+`) as object), behavior: 'Removed' }]],
])('%s', (_name, splits) => {
  const append = pieceEncoder(json.model, library, splits)

  test('any text has the ids of the library’s pieces, appended', () => {
    fc.assert(
      fc.property(text, (sample) => {
        const ids = [7]
        append(sample, ids)
        expect(ids).toEqual([7, ...idsByLibrary(sample, splits)])
      }),
      { numRuns: 400 },
    )
  })
})

/** Distinct texts of letters. */
const letters = (n: number): string =>
  n.toString(26).replaceAll(/\d/g, (digit) => 'qrstuvwxyz'[Number(digit)] ?? '')

test('more pieces than are remembered, and pieces longer than are, have the same ids again', () => {
  const splits = [isolated(splitPattern)]
  const append = pieceEncoder(json.model, library, splits)
  const words = Array.from({ length: 130_000 }, (_, i) => letters(i)).join(' ')
  const long = `${'the'.repeat(400)} ${'-'.repeat(1100)} the`
  const idsOf = (sample: string): string => {
    const ids: number[] = []
    append(sample, ids)
    return ids.join(' ')
  }
  const [first, longFirst] = [idsOf(words), idsOf(long)]
  expect(idsOf(words) === first).toBe(true)
  expect(idsOf(long)).toBe(longFirst)
  const merge = bytePairMerger(json.model, (token) => library.token_to_id(token))
  const pieces = new SplitPreTokenizer(splits[0]).pre_tokenize_text(words)
  expect(new Set(pieces).size).toBe(130_000)
  expect(pieces.flatMap((piece) => merge?.(toByteCharacters(piece))).join(' ') === first).toBe(true)
  expect(longFirst).toBe(idsByLibrary(long, splits).join(' '))
})
