/** Which texts are one integer, the same integer, or none. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalInteger } from './integer.ts'

const raw = String.raw

describe('canonicalInteger', () => {
  test.each([
    ['7', '7'],
    ['007', '7'],
    ['000', '0'],
    ['+7', '7'],
    ['-0', '0'],
    ['- 12', '-12'],
    ['\u221212', '-12'],
    ['1,234', '1234'],
    [raw`10,\! 080`, '10080'],
    ['90071992547409931', '90071992547409931'],
    ['3.0', '3'],
    ['x=4', '4'],
    [raw`\frac{-90071992547409930}{10}`, '-9007199254740993'],
    ['1 2', null],
    ['1,23', null],
    ['3.5', null],
    ['2^3', null],
    ['seven', null],
    ['٧', null],
    ['', null],
  ])('%j is %j', (text, canonical) => {
    expect(canonicalInteger(text)).toBe(canonical)
  })

  test('every integer, in every way of writing it', () => {
    const ways: readonly ((digits: string) => string)[] = [
      (digits) => ` ${digits} `,
      (digits) => `$${digits}$`,
      (digits) => `x = ${digits}`,
      (digits) => `${digits}.0`,
      (digits) => raw`${digits}\text{ cm}^2`,
      (digits) => raw`\text{${digits}}`,
      (digits) => digits.replaceAll(/\B(?=(?:\d{3})+$)/g, '{,}'),
    ]
    fc.assert(
      fc.property(fc.bigInt(), fc.constantFrom(...ways), (value, way) => {
        expect(canonicalInteger(way(String(value)))).toBe(String(value))
      }),
    )
  })

  test('the canonical form is its own', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const once = canonicalInteger(text)
        if (once !== null) expect(canonicalInteger(once)).toBe(once)
      }),
    )
  })

  test('texts that invite a search are answered soon', () => {
    const start = performance.now()
    expect(canonicalInteger('1 a'.repeat(130))).toBeNull()
    expect(canonicalInteger('\\text{'.repeat(66))).toBeNull()
    expect(canonicalInteger(`7${' '.repeat(390)}x`)).toBeNull()
    expect(canonicalInteger('7'.repeat(1_000_000))).toBeNull()
    expect(performance.now() - start).toBeLessThan(500)
  })
})
