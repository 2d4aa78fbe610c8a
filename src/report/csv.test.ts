/** curves.csv: quoting that reads back, a line for each measure, and intervals next to their counts. */
import { array, assert, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { csvLine, curvesCsv } from './csv.ts'
import { isDone } from './cells.ts'
import { parseResults } from './results.ts'
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
      'cell,organism,technique,technique.train.lr,seed,step,metric,k,n,value,lo,hi,planned,errors,prompt_set,max_tokens,temperature,top_p,sampling_seed'.split(
        ',',
      ),
    )
    const points = results.cells.filter(isDone).flatMap(({ curves }) => curves)
    const capabilities = points.flatMap((point) => Object.keys(point.capabilities)).length
    const languages = points.flatMap(({ traces }) => Object.keys(traces?.rest_languages['triggered'] ?? {}))
    expect(records).toHaveLength(11 * points.length + capabilities + languages.length)
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

  test('what a capability has beside its rate, how it was asked, and its errors stand under its name', () => {
    const [first] = results.cells.filter(isDone)
    const [point] = first?.curves ?? []
    if (first === undefined || point === undefined) return expect.unreachable()
    const loose = { k: 3, n: 4, errors: 1, interval: [0.2, 0.9], worst_case: [0.6, 0.8] }
    const accuracy = { ...loose, chance: 0.25, macro: { accuracy: 0.75, subjects: 1 } }
    const { backdoor } = point.evaluations
    const changed = parseResults({
      ...results,
      cells: [
        {
          ...first,
          after: null,
          recoveries: [],
          curves: [
            {
              ...point,
              capabilities: {
                mmlu: { ...accuracy, subjects: { lore: { k: 3, n: 4 } } },
                ifeval: { ...loose, chance: 0, rates: { prompt_loose: loose } },
              },
              evaluations: {
                backdoor,
                mmlu: { ...backdoor, errors: 1, prompt_set: 'ab', sampling: null },
                ifeval: { ...backdoor, errors: 1, prompt_set: 'cd' },
              },
            },
          ],
        },
      ],
    })
    const [names, ...lines] = readCsv(curvesCsv(changed))
    const column = (name: string): number => names?.indexOf(name) ?? -1
    const of = (metric: string) => {
      const line = lines.find((row) => row[column('metric')] === metric) ?? []
      return ['k', 'n', 'value', 'errors', 'prompt_set', 'temperature'].map((name) => line[column(name)])
    }
    expect(of('mmlu')).toEqual(['3', '4', '0.75', '1', 'ab', ''])
    expect(of('mmlu.macro')).toEqual(['', '', '0.75', '1', 'ab', ''])
    expect(of('mmlu.lore')).toEqual(['3', '4', '0.75', '1', 'ab', ''])
    expect(of('ifeval.prompt_loose')).toEqual(['3', '4', '0.75', '1', 'cd', '0.7'])
    expect(of('triggered')[4]).toBe(backdoor?.prompt_set)
    expect(of('rest_language.triggered.none')[1]).toBe('128')
  })
})
