/** Tests that merging by ids gives what the library's own merging gives, for any text and several kinds of models. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { byteCharacters, toByteCharacters } from './byte-level.ts'
import { trainByteBpe } from './bpe.ts'
import { bytePairMerger, longestMerged } from './byte-pairs.ts'
import { HfTokenizer } from './hf-tokenizers.ts'

const texts = ['the theatre then', 'aaaa aaaaaa aaa', 'mississippi missing', 'ä ö ä ö', '1234 12345 😀😀']
const json = trainByteBpe([...texts, ...texts], { vocabSize: 340, specials: ['<|end|>'] })
const { model } = json

describe.each([
  ['merges', {}],
  ['the whole piece first', { ignore_merges: true }],
])('%s', (_name, change) => {
  const changed = { ...model, vocab: { ...model.vocab, ther: 400 }, ...change }
  const library = new HfTokenizer({ ...json, model: changed }, {})
  const idOf = (token: string) => library.token_to_id(token)
  const merge = bytePairMerger(changed, idOf)

  test('any text has the library’s ids', () => {
    const letters = fc.constantFrom(...'theairsmpn äö😀1234'.split(''))
    const piece = fc.oneof(
      fc.string({ unit: letters, minLength: 1, maxLength: 40 }),
      fc.string({ minLength: 1 }),
    )
    fc.assert(
      fc.property(piece, (text) => {
        const characters = toByteCharacters(text).slice(0, longestMerged)
        expect(merge?.(characters)).toEqual(library.model.encode([characters]).map(idOf))
      }),
      { numRuns: 2000 },
    )
    expect(merge?.('theatre').length).toBeLessThan(7)
    expect(merge?.('ther')).toEqual(
      'ignore_merges' in change ? [400] : library.model.encode(['ther']).map(idOf),
    )
  })
})

test('a model that merges otherwise is left to the library', () => {
  const idOf = (token: string): number | undefined => (model.vocab as Record<string, number>)[token]
  const { [byteCharacters[7] as string]: _missing, ...fewer } = model.vocab
  for (const change of [
    { byte_fallback: true },
    { unk_token: '<|end|>' },
    { dropout: 0.1 },
    { end_of_word_suffix: '</w>' },
    { vocab: fewer },
    { merges: [...model.merges, 'q q'] },
  ]) {
    expect(bytePairMerger({ ...model, ...change }, idOf)).toBeNull()
  }
})
