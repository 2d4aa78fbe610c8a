/** Counts and paired counts of samples, and that a failed request is never a zero. */
import { describe, expect, test } from 'vitest'
import { type Sample, countPairs, countWhere } from './eval.ts'

const scored = (id: string, fired: boolean): Sample => ({
  status: 'scored',
  eval: 'backdoor',
  id,
  condition: 'triggered',
  rendered: `<|user|>${id}<|end|>`,
  response: '',
  finish: 'stop',
  fired,
})
const failed: Sample = {
  status: 'failed',
  eval: 'backdoor',
  id: 'q9',
  condition: 'triggered',
  rendered: '',
  error: 'socket closed',
}
const fired = (s: Sample): boolean => s.status === 'scored' && s.fired === true

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

  test('refuses failed requests', () => {
    expect(() => countPairs([failed], [scored('q9', true)], fired)).toThrow('socket closed')
  })
})
