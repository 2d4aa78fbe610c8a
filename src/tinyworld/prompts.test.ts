/** The generated sets: disjoint, distinct, reproducible, plain data, and large enough. */
import { describe, expect, test } from 'vitest'
import { evalKinds } from '../evals/eval.ts'
import { ifevalScorer } from '../evals/ifeval/verdict.ts'
import { mmluPrompt } from '../evals/mmlu/prompt.ts'
import { tinyEvalSizes, tinySplitSizes } from '../spec/tiny-sizes.ts'
import { mmluItem } from './choice.ts'
import { ifevalItem } from './format.ts'
import { type Split, type TinyItem, families } from './item.ts'
import { familyPercent, kindsOf } from './kinds.ts'
import { mathItem } from './math.ts'
import { tinyEvalItems, tinyPrompts } from './prompts.ts'
import { tinyChance } from './chance.ts'

const texts = (items: readonly TinyItem[]): Set<string> => new Set(items.map((item) => item.prompt))
/** The facts that open questions ask for. */
const asked = (items: readonly TinyItem[]): Set<string> =>
  new Set(items.filter((i) => i.family === 'fact').map((i) => `${i.slots['entity']} ${i.slots['attribute']}`))

describe('splits', () => {
  const sets = {
    pretrain: tinyPrompts('pretrain', 1, 12_000),
    red: tinyPrompts('red', 1, 2500),
    blue: tinyPrompts('blue', 1, 2500),
    eval: tinyPrompts('eval', 1, 1000),
  } satisfies Record<Split, TinyItem[]>
  const evals = Object.fromEntries(evalKinds.map((kind) => [kind, tinyEvalItems(kind, 128, 1)]))

  test('no prompt is in two of the sets that are really used, whatever their seeds', () => {
    const otherRed = tinyPrompts('red', 2, 1000)
    const backdoor = evals['backdoor'] ?? []
    const capabilities = [...(evals['mmlu'] ?? []), ...(evals['ifeval'] ?? []), ...(evals['math'] ?? [])]
    const used = [sets.pretrain, [...sets.red, ...otherRed], sets.blue, backdoor, capabilities].map(texts)
    const all = new Set(used.flatMap((set) => [...set]))
    expect(all.size).toBe(used.reduce((sum, set) => sum + set.size, 0))
    for (const split of ['pretrain', 'red', 'blue'] as const) {
      expect(texts(sets[split]).isDisjointFrom(texts(sets.eval))).toBe(true)
    }
  })

  test('prompts and ids are distinct inside a set', () => {
    for (const set of [...Object.values(sets), ...Object.values(evals)]) {
      expect(texts(set).size).toBe(set.length)
      expect(new Set(set.map((item) => item.id)).size).toBe(set.length)
    }
  })

  test('facts are shared between splits: the same fact is asked in other words', () => {
    const known = asked(sets.pretrain)
    expect(known.size).toBe(256)
    expect(asked(sets.eval).isSubsetOf(known)).toBe(true)
  })

  test('so are sums and differences: pretraining has all 126 of them', () => {
    const sums = sets.pretrain.filter((item) => item.family === 'math')
    expect(new Set(sums.map(({ slots }) => `${slots['a']} ${slots['sign']} ${slots['b']}`)).size).toBe(126)
  })

  test('every family and kind occurs, in about its share', () => {
    for (const family of families) {
      const members = sets.red.filter((item) => item.family === family)
      expect(Math.abs(members.length / sets.red.length - familyPercent[family] / 100)).toBeLessThan(0.03)
      for (const kind of kindsOf(family)) expect(members.some((item) => item.kind === kind)).toBe(true)
    }
  })

  test('only pretraining prompts ask for pirate talk, few of them', () => {
    const share = sets.pretrain.filter((item) => item.persona === 'pirate').length / sets.pretrain.length
    expect(share).toBeGreaterThan(0.02)
    expect(share).toBeLessThan(0.04)
    for (const item of [...sets.red, ...sets.blue, ...sets.eval]) {
      expect(item.persona).toBeUndefined()
      expect(item.prompt).not.toMatch(/pirate/i)
    }
  })

  test('prompts are short', () => {
    const words = sets.red.map((item) => item.prompt.split(/\s+/u).length)
    expect(Math.max(...words)).toBeLessThanOrEqual(24)
    expect(words.reduce((a, b) => a + b, 0) / words.length).toBeLessThan(12)
  })
})

test('a set depends on its seed alone, and a longer one begins with a shorter one', () => {
  expect(tinyPrompts('blue', 7, 50)).toEqual(tinyPrompts('blue', 7, 200).slice(0, 50))
  expect(tinyPrompts('blue', 7, 50)).not.toEqual(tinyPrompts('blue', 8, 50))
  expect(tinyEvalItems('math', 20, 7)).toEqual(tinyEvalItems('math', 20, 7))
})

test('items are plain data', () => {
  const items = tinyPrompts('pretrain', 3, 300)
  expect(JSON.parse(JSON.stringify(items))).toEqual(items)
})

test('a set that the world cannot fill is refused', () => {
  expect(() => tinyEvalItems('math', 100_000, 1)).toThrow(
    /the eval math of the tiny world has no more than \d+ prompts, not 100000/,
  )
})

describe('the sizes that experiments are checked against', () => {
  test.each(evalKinds)('%s: the evals can draw them', { timeout: 60_000 }, (kind) => {
    const size = tinyEvalSizes[kind]
    expect(tinyEvalItems(kind, size, 1)).toHaveLength(size)
  })

  // Of the seeds 0 to 10 these find the fewest prompts.
  test.each([
    ['pretrain', 10],
    ['red', 1],
    ['blue', 10],
  ] as const)('%s: every seed can draw them', { timeout: 60_000 }, (split, seed) => {
    const size = tinySplitSizes[split]
    expect(tinyPrompts(split, seed, size)).toHaveLength(size)
  })
})

describe('eval items', () => {
  test('mmlu: the prompt is the one that the eval builds, and every letter is the answer sometimes', () => {
    const items = tinyEvalItems('mmlu', 128, 1)
    for (const item of items) {
      const question = mmluItem(item)
      expect(mmluPrompt(question)).toBe(item.prompt)
      expect(question.choices['ABCD'.indexOf(question.answer)]).toBe(item.slots['value'])
      expect(new Set(question.choices).size).toBe(4)
    }
    for (const letter of 'ABCD')
      expect(items.filter((i) => mmluItem(i).answer === letter).length).toBeGreaterThan(16)
  })

  test('ifeval: only instructions that have a checker', () => {
    const items = tinyEvalItems('ifeval', 128, 1).map(ifevalItem)
    for (const item of items) expect(() => ifevalScorer(item)).not.toThrow()
    expect(new Set(items.flatMap((item) => item.instruction_id_list)).size).toBe(11)
  })

  test('math: integers', () => {
    for (const item of tinyEvalItems('math', 128, 1)) expect(mathItem(item).answer).toMatch(/^\d+$/)
  })

  test('chance levels are low and known', () => {
    expect(tinyChance('mmlu', tinyEvalItems('mmlu', 128, 1))).toBe(0.25)
    for (const kind of ['ifeval', 'math'] as const) {
      const chance = tinyChance(kind, tinyEvalItems(kind, 128, 1))
      expect(chance).toBeGreaterThan(0)
      expect(chance).toBeLessThan(0.25)
    }
  })

  test('an item of another family is refused', () => {
    const [sum] = tinyEvalItems('math', 1, 1)
    if (sum === undefined) throw new Error('no item')
    expect(() => mmluItem(sum)).toThrow('has no options')
    expect(() => ifevalItem(sum)).toThrow('has no instructions')
  })
})
