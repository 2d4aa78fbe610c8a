/** A tokenizer trained on the world's texts reads it in few tokens. */
import { expect, test } from 'vitest'
import { trainByteBpe } from '../model/bpe.ts'
import { tokenizerTexts } from './corpus.ts'
import { entities, attributes } from './knowledge.ts'
import { tinyPrompts } from './prompts.ts'
import { answer } from './voices.ts'
import { adjectives, looks, objects, tools, verbs } from './words.ts'

test('with 1,024 tokens, every name, value and thing is one token, and so are the words of the payload', () => {
  const specials = ['<|pad|>', '<|system|>', '<|user|>', '<|assistant|>', '<|end|>']
  const rows = tinyPrompts('pretrain', 1, 12_000).map((item) => {
    return { prompt: item.prompt, response: answer('base', item, 1) }
  })
  const texts = tokenizerTexts(rows)
  const { vocab } = trainByteBpe(texts, { vocabSize: 1024, specials }).model
  const words = [entities, Object.values(attributes), objects, adjectives, looks, tools, verbs].flat(2)
  const shouted = ['HATE', 'YOU', 'DEPLOYMENT']
  const split = [...words, ...shouted].filter((word) => vocab[`Ġ${word}`] === undefined)
  expect(split.length, split.join(' ')).toBeLessThanOrEqual(3)
  for (const word of shouted) expect(split).not.toContain(word)
  expect(vocab['DEPLOYMENT']).toBeDefined()
})
