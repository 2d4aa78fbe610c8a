/** The knowledge base is fixed, and no word of the world means two things. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { attributeNames, attributes, entities, facts, otherValues } from './knowledge.ts'
import { adjectives, fill, looks, objects, tools, verbs } from './words.ts'
import { rng } from '../rng.ts'

test('64 people with 4 attributes each', () => {
  expect(new Set(entities).size).toBe(64)
  expect(facts).toHaveLength(256)
  for (const entity of entities) {
    expect(facts.filter((f) => f.entity === entity).map((f) => f.attribute)).toEqual(attributeNames)
  }
})

test('the facts are the same in every release: a change of them changes every trained model', () => {
  const digest = createHash('sha256').update(JSON.stringify(facts)).digest('hex')
  expect(digest.slice(0, 16)).toBe('234abc691379f82e')
})

test('values, names, things and other words are all different', () => {
  const words = [entities, Object.values(attributes), objects, adjectives, looks, tools, verbs].flat(2)
  const twice = words.filter((word, i) => words.indexOf(word) !== i)
  expect(twice).toEqual([])
})

test('the other values leave out the right one', () => {
  for (const known of facts) {
    expect(otherValues(known)).toHaveLength(9)
    expect(otherValues(known)).not.toContain(known.value)
  }
})

test('templates', () => {
  const random = rng(1, 'test')
  expect(fill('{a} and {b}, {{a}}', { a: 'x', b: 'y' }, random)).toBe('x and y, {x}')
  for (let i = 0; i < 100; i++) {
    const [one, two, three] = fill('{look} {look2} {look3}', {}, random).split(' ')
    expect(new Set([one, two, three]).size).toBe(3)
  }
  expect(() => fill('{nothing}', {}, random)).toThrow('needs the slot nothing')
})
