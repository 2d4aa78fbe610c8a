/** JSON that every reader takes: halves of surrogate pairs are replaced, and nothing else is. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wellFormed } from './write.ts'

test.each([
  ['a\ud800b', 'a\ufffdb'],
  ['\udfff\ud83d', '\ufffd\ufffd'],
  ['😀 \n "x" \\ud800 \\\ud800', '😀 \n "x" \\ud800 \\\ufffd'],
])('%j', (text, expected) => {
  expect(JSON.parse(wellFormed(JSON.stringify({ [text]: [text] })))).toEqual({ [expected]: [expected] })
})

test('any text is what UTF-8 makes of it', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.array(fc.integer({ min: 0xd700, max: 0xe0ff })),
      (text, units) => {
        const whole = text + String.fromCharCode(...units) + text
        expect(JSON.parse(wellFormed(JSON.stringify(whole)))).toBe(Buffer.from(whole).toString())
      },
    ),
  )
})
