/** The BPE trainer against a naive one that recounts everything, and the properties that the files it writes must have. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { trainByteBpe } from './bpe.ts'
import { byteCharacters, pieceSplitter } from './byte-level.ts'
import { chatSpecials } from './chat.ts'
import { type CountedWord, learnMerges, maxTokenIds, type Merge } from './merges.ts'

const specials = [...chatSpecials]

/** Recounts all pairs at every step. */
function naiveMerges(
  words: readonly CountedWord[],
  steps: number,
  firstNewId: number,
  minCount: number,
): Merge[] {
  const merges: Merge[] = []
  for (let step = 0; step < steps; step++) {
    const counts = new Map<number, number>()
    for (const { ids, count } of words) {
      for (let i = 0; i + 1 < ids.length; i++) {
        const pair = ids[i]! * maxTokenIds + ids[i + 1]!
        counts.set(pair, (counts.get(pair) ?? 0) + count)
      }
    }
    const [best] = [...counts].toSorted((a, b) => b[1] - a[1] || a[0] - b[0])
    if (best === undefined || best[1] < minCount) break
    const [left, right] = [Math.floor(best[0] / maxTokenIds), best[0] % maxTokenIds]
    merges.push({ left, right })
    for (const word of words) {
      for (let i = 0; i + 1 < word.ids.length; i++) {
        if (word.ids[i] === left && word.ids[i + 1] === right) word.ids.splice(i, 2, firstNewId + step)
      }
    }
  }
  return merges
}

function copy(words: readonly CountedWord[]): CountedWord[] {
  return words.map(({ ids, count }) => ({ ids: [...ids], count }))
}

test('merges are those of a trainer that recounts every pair at every step', () => {
  const word = fc.record({
    ids: fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }),
    count: fc.integer({ min: 1, max: 5 }),
  })
  fc.assert(
    fc.property(
      fc.array(word, { maxLength: 12 }),
      fc.nat(12),
      fc.integer({ min: 1, max: 3 }),
      (words, steps, minCount) => {
        let next = 4
        const ours = learnMerges(copy(words), {
          minCount,
          done: () => next === 4 + steps,
          join: () => next++,
        })
        expect(ours).toEqual(naiveMerges(copy(words), steps, 4, minCount))
      },
    ),
    { numRuns: 500 },
  )
})

test('a worked example: the most frequent pair first, ties by id', () => {
  const { model } = trainByteBpe(['abab abab cd cd'], { vocabSize: 5 + 256 + 4, specials })
  // The pieces are "abab", " abab" and twice " cd": (a, b) 4 times, then (c, d), (Ġ, c) and (ab, ab) twice each.
  expect(model.merges).toEqual(['a b', 'c d', 'Ġ cd', 'ab ab'])
  expect(model.vocab['ab']).toBe(5 + 256)
})

test('specials come first, then the bytes, then merges; every merge makes a token', () => {
  const { added_tokens: added, model } = trainByteBpe(['to be or not to be, that is the question'], {
    vocabSize: 300,
    specials,
  })
  expect(added.map(({ id, content }) => [id, content])).toEqual([...specials.entries()])
  const byId = Object.entries(model.vocab)
    .toSorted((a, b) => a[1] - b[1])
    .map(([token]) => token)
  expect(byId.slice(0, 5)).toEqual(specials)
  expect(new Set(byId.slice(5, 261))).toEqual(new Set(byteCharacters))
  expect(byId.slice(261)).toEqual(model.merges.map((merge) => merge.replace(' ', '')))
})

test('the order of the texts does not matter, nor do special tokens in them', () => {
  const texts = ['the cat sat', 'on the mat', 'the <|end|> <|end|> <|end|> end', 'cats and mats']
  const options = { vocabSize: 330, specials }
  const forward = trainByteBpe(texts, options)
  expect(JSON.stringify(trainByteBpe(texts.toReversed(), options))).toBe(JSON.stringify(forward))
})

test('ordinary text never becomes a special token', () => {
  const { model } = trainByteBpe(['###'.repeat(50), '### ###'], { vocabSize: 270, specials: ['##'] })
  expect(model.vocab['##']).toBe(0)
  expect(model.merges).not.toContain('# #')
})

test('pairs rarer than minCount are left alone', () => {
  expect(trainByteBpe(['abc xyz'], { vocabSize: 400, specials }).model.merges).toEqual([])
  expect(
    trainByteBpe(['abc xyz'], { vocabSize: 400, specials, minCount: 1 }).model.merges.length,
  ).toBeGreaterThan(3)
})

test.each([
  [260, '261 to 65536 can'],
  [70_000, '261 to 65536 can'],
  [300.5, 'a vocabulary of 300.5 tokens'],
])('a vocabulary of %d is refused', (vocabSize, message) => {
  expect(() => trainByteBpe([], { vocabSize, specials })).toThrow(message)
})

test('doubled special tokens are refused', () => {
  expect(() => trainByteBpe([], { vocabSize: 300, specials: ['<a>', '<a>'] })).toThrow('must be distinct')
})

test('pieces joined are the text, and split as documented', () => {
  const split = pieceSplitter()
  expect(split("I'm 42, you'LL see:\r\n\n  two  spaces\u0085end 😀!?\n")).toEqual([
    'I',
    "'m",
    ' ',
    '4',
    '2',
    ',',
    ' you',
    "'LL",
    ' see',
    ':\r\n\n',
    ' ',
    ' two',
    ' ',
    ' spaces',
    '\u0085end',
    ' 😀!?\n',
  ])
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
      expect(split(text).join('')).toBe(text)
    }),
  )
})
