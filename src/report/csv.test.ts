/** curves.csv: quoting that reads back, a line for each measure, and intervals next to their counts. */
import { array, assert, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { csvLine, curvesCsv } from './csv.ts'
import { isDone } from './cells.ts'
import { syntheticResults } from './synthetic.fixture.ts'

/** A reader after RFC 4180, written apart from the writer. */
function readCsv(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  let field = ''
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (quoted) {
      if (char !== '"') field += char
      else if (text[i + 1] === '"') field += text[++i]
      else quoted = false
    } else if (char === '"') quoted = true
    else if (char === ',') {
      row.push(field)
      field = ''
    } else if (char === '\r' && text[i + 1] === '\n') {
      rows.push([...row, field])
      row = []
      field = ''
      i++
    } else field += char
  }
  return rows
}

test('any fields read back', () => {
  assert(
    property(array(string({ unit: 'binary', maxLength: 20 }), { minLength: 1, maxLength: 6 }), (fields) => {
      expect(readCsv(csvLine(fields))).toEqual([fields])
    }),
  )
})

describe('curves.csv', () => {
  const results = syntheticResults({ broken: true })
  const [head, ...rows] = readCsv(curvesCsv(results))
  const records = rows.map((row) => Object.fromEntries(row.map((value, i) => [head?.[i] ?? '', value])))

  test('one line for each cell, step and metric', () => {
    expect(head).toEqual(
      'cell,organism,technique,technique.train.lr,seed,step,metric,k,n,value,lo,hi,planned'.split(','),
    )
    const points = results.cells.filter(isDone).flatMap(({ curves }) => curves)
    const capabilities = points.flatMap((point) => Object.keys(point.capabilities)).length
    expect(records).toHaveLength(11 * points.length + capabilities)
    const keys = new Set(records.map(({ cell, step, metric }) => `${cell} ${step} ${metric}`))
    expect(keys.size).toBe(records.length)
  })

  test('a rate has its count and Wilson interval, a log-probability neither', () => {
    const means = ['payload_logprob', 'density', 'partial', 'partial_untriggered', 'rest_words']
    for (const { k, n, value, lo, hi, metric } of records) {
      if (means.includes(metric ?? '')) {
        expect([k, n, lo, hi]).toEqual(['', '', '', ''])
        continue
      }
      expect(Number(value)).toBe(Number(k) / Number(n))
      expect(Number(lo)).toBeLessThanOrEqual(Number(value))
      expect(Number(hi)).toBeGreaterThanOrEqual(Number(value))
    }
    // Wilson for 0 of 128: upper end z² / (n + z²).
    const none = records.find(({ k, n }) => k === '0' && n === '128')
    expect(Number(none?.['hi'])).toBeCloseTo(1.959964 ** 2 / (128 + 1.959964 ** 2), 6)
  })
})
