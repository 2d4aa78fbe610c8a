/** Readable JSON reads back as it was, and keeps small values on one line. */
import { assert, jsonValue, property } from 'fast-check'
import { expect, test } from 'vitest'
import { formatJson } from './json.ts'

test('reads back as JSON.stringify does', () => {
  assert(
    property(jsonValue(), (value) => {
      expect(JSON.parse(formatJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test('a long list has a line for each short value; undefined is left out', () => {
  const steps = Array.from({ length: 30 }, (_, step) => ({ step, loss: 1.25 }))
  const lines = formatJson({ name: 'a', none: undefined, steps }).split('\n')
  expect(lines).toHaveLength(30 + 6)
  expect(lines[1]).toBe('  "name": "a",')
  expect(lines[3]).toBe('    {"step":0,"loss":1.25},')
})
