/** Addresses of data files: what is a hub's and what is a path, there and back, and what is refused. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseSource, sourceName } from './data-source.ts'

const alpaca = { kind: 'hub', repo: 'tatsu-lab/alpaca', revision: 'main', path: null }

test.each([
  ['rows.jsonl', { kind: 'file', file: 'rows.jsonl' }],
  ['./hub:odd/name', { kind: 'file', file: './hub:odd/name' }],
  ['hub:tatsu-lab/alpaca', alpaca],
  ['hub:tatsu-lab/alpaca/data/train.parquet', { ...alpaca, path: 'data/train.parquet' }],
  ['hub:tatsu-lab/alpaca/data/train-*.parquet', { ...alpaca, path: 'data/train-*.parquet' }],
  ['hub:tatsu-lab/alpaca@v1.0', { ...alpaca, revision: 'v1.0' }],
  [
    'hub:tatsu-lab/alpaca@refs%2Fconvert%2Fparquet/default/train/0000.parquet',
    { ...alpaca, revision: 'refs/convert/parquet', path: 'default/train/0000.parquet' },
  ],
])('%s', (argument, source) => {
  expect(parseSource(argument)).toEqual(source)
})

test.each([
  ['hub:', 'must be organisation/name'],
  ['hub:alpaca', 'must be organisation/name'],
  ['hub:a/../b', 'must be organisation/name'],
  ['hub:a/b/../../etc/passwd', 'must be the path of a file'],
  ['hub:a/b//c.json', 'must be the path of a file'],
  ['hub:a/b/c.json/', 'must be the path of a file'],
  ['hub:a/b/', 'must be the path of a file'],
  ['hub:a/b/*/c.json', 'in the name of the file only'],
  ['hub:a/b@', 'must be a branch, a tag or a commit'],
  ['hub:a/b@../c/d.json', 'must be a branch, a tag or a commit'],
])('%s is refused', (argument, message) => {
  expect(() => parseSource(argument)).toThrow(message)
  try {
    parseSource(argument)
  } catch (error) {
    expect(error).toMatchObject({ code: 'BAD_INPUT', hint: expect.stringContaining('@revision') })
  }
})

test('a name says everything of a source', () => {
  const word = fc
    .stringMatching(/^[a-z0-9](?:[a-z0-9._]{0,6}[a-z0-9])?$/)
    .filter((text) => !text.includes('..'))
  const words = (max: number) => fc.array(word, { minLength: 1, maxLength: max }).map((all) => all.join('/'))
  const source = fc.record({
    kind: fc.constant('hub' as const),
    repo: fc.tuple(word, word).map((names) => names.join('/')),
    revision: words(3),
    path: fc.option(words(3)),
  })
  fc.assert(
    fc.property(source, (one) => {
      expect(parseSource(sourceName(one))).toEqual(one)
    }),
  )
})
