/** The shapes of published models have the numbers of parameters that their model cards say. */
import { expect, test } from 'vitest'
import { parameterCount } from './config.ts'
import { configOfShape, shapeDifferences } from './published-shapes.ts'

test.each([
  ['llama-3.3-70b', 70_553_706_496],
  ['llama-3.1-8b', 8_030_261_248],
  ['llama-3.2-3b', 3_212_749_824],
  ['llama-3.2-1b', 1_235_814_400],
] as const)('%s', (name, parameters) => {
  expect(parameterCount(configOfShape(name, 'shape'))).toBe(parameters)
})

test('a shape that is spelt out is the same as its name', () => {
  const named = configOfShape('llama-3.1-8b', 'shape')
  const sizes = { vocab: 128_256, hidden: 4096, layers: 32, heads: 32, kv_heads: 8, ffn: 14_336 }
  const spelt = configOfShape({ family: 'llama', ...sizes, tied: false, positions: 131_072 }, 'shape')
  expect(shapeDifferences(named, spelt)).toEqual([])
  expect(shapeDifferences(named, { ...spelt, layers: 31, tied: true })).toEqual([
    'layers is 31, not 32',
    'tied is true, not false',
  ])
})

test('sizes that do not fit each other are refused by their place', () => {
  const sizes = { vocab: 300, hidden: 10, layers: 1, heads: 3, kv_heads: 3, ffn: 8 }
  expect(() =>
    configOfShape({ family: 'llama', ...sizes, tied: false, positions: 64 }, 'bases.a.shape'),
  ).toThrow(/^bases\.a\.shape: /)
})
