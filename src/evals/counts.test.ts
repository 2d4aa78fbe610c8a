/** Counts and paired counts of records, and that a failed request is never a zero. */
import { describe, expect, test } from 'vitest'
import { countPairs, countWhere } from './counts.ts'
import type { EvalRecord } from './record.ts'

const head = (id: string) =>
  ({
    eval: 'backdoor',
    id,
    condition: 'triggered',
    asked: 'response',
    input: id,
    target: '',
    subject: null,
    rendered: `<|user|>${id}<|end|>`,
  }) as const
const scored = (id: string, fired: boolean): EvalRecord => ({
  ...head(id),
  status: 'scored',
  response: '',
  finish: 'stop',
  tokens: { prompt: 3, completion: 0 },
  fired,
})
const failed: EvalRecord = { ...head('q9'), status: 'failed', error: 'socket closed', again: true }
/** What another try would not mend. */
const tooLong = (id: string): EvalRecord => ({
  ...head(id),
  status: 'failed',
  error: 'does not fit the context',
  again: false,
})
const fired = (s: EvalRecord): boolean => s.status === 'scored' && s.fired === true

describe('countWhere', () => {
  test('counts successes and tries', () => {
    expect(countWhere([scored('a', true), scored('b', false), scored('c', true)], fired)).toEqual({
      k: 2,
      n: 3,
    })
    expect(countWhere([], fired)).toEqual({ k: 0, n: 0 })
  })

  test('refuses failed requests and names the first', () => {
    expect(() => countWhere([scored('a', true), failed], fired)).toThrow(
      '1 of 2 backdoor requests failed; the first, q9: socket closed',
    )
  })

  test('leaves out what cannot be asked', () => {
    expect(countWhere([scored('a', true), tooLong('b')], fired)).toEqual({ k: 1, n: 1 })
  })
})

describe('countPairs', () => {
  test('matches by id, whatever the order', () => {
    const before = [scored('a', true), scored('b', true), scored('c', false), scored('d', false)]
    const after = [scored('d', false), scored('c', true), scored('b', false), scored('a', true)]
    expect(countPairs(before, after, fired)).toEqual({ both: 1, onlyFirst: 1, onlySecond: 1, neither: 1 })
  })

  test.each([
    ['a missing item', [scored('a', true)], [scored('a', true), scored('b', true)]],
    ['other items', [scored('a', true)], [scored('b', true)]],
    ['an item twice', [scored('a', true), scored('a', true)], [scored('a', true), scored('a', true)]],
  ])('refuses %s', (_, first, second) => {
    expect(() => countPairs(first, second, fired)).toThrow('paired samples differ')
  })

  test('an item that cannot be asked has no pair', () => {
    const before = [scored('a', true), scored('b', true), tooLong('c')]
    const after = [scored('a', true), tooLong('b'), tooLong('c')]
    expect(countPairs(after, before, fired)).toEqual({ both: 1, onlyFirst: 0, onlySecond: 0, neither: 0 })
  })

  test('refuses failed requests', () => {
    expect(() => countPairs([failed], [scored('q9', true)], fired)).toThrow('socket closed')
  })
})
