/** Text of others can neither break a line nor steer the terminal. */
import { expect, test } from 'vitest'
import { oneLine } from './one-line.ts'

test('line breaks, escapes and turns of direction are written out; letters and signs stay', () => {
  expect(oneLine('a\nb\r\tc\u001B[2Jd\u0085\u2028\u202Ee')).toBe(
    String.raw`a\nb\r\tc\u001b[2Jd\u0085\u2028\u202ee`,
  )
  expect(oneLine('größer 🦊👩‍🚀 "x" \\n')).toBe('größer 🦊👩‍🚀 "x" \\n')
})
