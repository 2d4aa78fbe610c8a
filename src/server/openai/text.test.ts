/** Text that comes in pieces: whole characters, and nothing behind a stop text, however tokens cut it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTokenizer, type Tokenizer } from '../../model/tokenizer.ts'
import { writeTinyChatModel } from './server.fixture.ts'
import { StopTexts } from './stop-texts.ts'
import { TextOfTokens } from './text-of-tokens.ts'

let dir = ''
let tokenizer: Tokenizer
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'text-'))
  tokenizer = await openTokenizer((await writeTinyChatModel(dir)).folder)
})
afterAll(() => rm(dir, { recursive: true }))

const piecesOf = (tokens: readonly number[]): string[] => {
  const text = new TextOfTokens(tokenizer.decode)
  return [...tokens.map((token) => text.push(token)), text.end()]
}
/** What a client of a stream has read at its end, and what it had read before. */
const cut = (pieces: readonly string[], stops: readonly string[]): { text: string; stopped: boolean } => {
  const filter = new StopTexts(stops)
  let text = ''
  for (const piece of pieces) {
    const { length, stopped } = filter.push(piece)
    text += filter.release(length)
    if (stopped) return { text, stopped }
  }
  return { text: text + filter.release(filter.length), stopped: false }
}

test('pieces of any tokens join to their text, and none ends inside a character', () => {
  const anyTokens = fc.array(fc.integer({ min: 0, max: 305 }), { maxLength: 40 })
  const textTokens = fc.string({ unit: 'grapheme' }).map((text) => tokenizer.encode(text))
  fc.assert(
    fc.property(fc.oneof(anyTokens, textTokens), (tokens) => {
      const pieces = piecesOf(tokens)
      expect(pieces.join('')).toBe(tokenizer.decode(tokens))
      for (const piece of pieces.slice(0, -1)) expect(piece.endsWith('\ufffd')).toBe(false)
    }),
    { numRuns: 1000 },
  )
})

test('long runs of broken bytes, of special and of unknown tokens give the same text in bounded work', () => {
  // In the vocabulary the bytes follow the special tokens; `bytes` are those from 0x80 on, which alone are no characters.
  const bytes = fc.constantFrom(...['é', '🦜', '\u0800'].flatMap((text) => tokenizer.encode(text)))
  const specials = fc.constantFrom(0, 1, 2, 3, 305, 1000)
  const runs = fc.oneof(
    fc.array(bytes, { minLength: 30, maxLength: 200, size: 'max' }),
    fc.array(fc.oneof({ weight: 9, arbitrary: specials }, bytes), { maxLength: 100, size: 'max' }),
  )
  fc.assert(
    fc.property(runs, (tokens) => {
      expect(piecesOf(tokens).join('')).toBe(tokenizer.decode(tokens))
    }),
    { numRuns: 300 },
  )
  let decoded = 0
  const counting = new TextOfTokens((ids) => {
    decoded += ids.length
    return tokenizer.decode(ids)
  })
  const [lead = 0] = tokenizer.encode('🦜')
  for (let i = 0; i < 4000; i++) counting.push(i < 2000 ? lead : 3)
  expect(decoded).toBeLessThan(4000 * 100)
})

test('a character of four tokens comes with the last of them', () => {
  const tokens = tokenizer.encode('🦜!')
  expect(tokens.length).toBe(5)
  expect(piecesOf(tokens)).toEqual(['', '', '', '🦜', '!', ''])
  expect(piecesOf(tokens.slice(0, 3))).toEqual(['', '', '', '\ufffd'])
})

test('however a text is cut into pieces, it ends at the stop text that is complete first', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 })
  const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }), {
    maxLength: 3,
  })
  fc.assert(
    fc.property(letters, stops, (text, own) => {
      // The oracle grows the text by a letter until it ends with a stop text.
      let expected = { text, stopped: false }
      for (let end = 1; end <= text.length && !expected.stopped; end++) {
        const found = own.filter((stop) => text.slice(0, end).endsWith(stop)).map((stop) => end - stop.length)
        if (found.length > 0) expected = { text: text.slice(0, Math.min(...found)), stopped: true }
      }
      expect(cut(text.split(''), own)).toEqual(expected)
      // What a bigger piece ends with is found at its first place.
      const places = own.map((stop) => text.indexOf(stop)).filter((at) => at >= 0)
      const first = places.length > 0 ? text.slice(0, Math.min(...places)) : text
      expect(cut([text], own)).toEqual({ text: first, stopped: places.length > 0 })
    }),
    { numRuns: 1000 },
  )
})

test('what could become a stop text is held back, and given when it does not', () => {
  const filter = new StopTexts(['STOP'])
  const read = ['go ', 'ST', 'O', 'NE', ' STO'].map((piece) => filter.release(filter.push(piece).length))
  expect(read).toEqual(['go ', '', '', 'STONE', ' '])
  expect(filter.release(filter.length)).toBe('STO')
})
