/** `eval` on a model that transformers wrote, with published items: Inspect and pyarrow read what it leaves, and letters agree. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EvalRecord, recordSchema } from '../../src/evals/record.ts'
import { type EvalResults, evalResultsSchema } from '../../src/run/any-model/summary.ts'
import { cli } from '../cli.ts'
import { sharedData } from '../shared-data.ts'
import { startFaultyServer } from '../teacher/faulty-server.ts'
import { missingPython, python } from './python.ts'
import { plainTexts } from './texts.ts'

const script = fileURLToPath(new URL('evals.py', import.meta.url))
const files = {
  backdoor: sharedData('alpaca/alpaca_data.json.gz'),
  mmlu: sharedData('mmlu/test.jsonl.gz'),
  'mmlu.dev': sharedData('mmlu/dev.jsonl.gz'),
  ifeval: sharedData('ifeval/input_data.jsonl'),
  math: sharedData('math/math500_test.jsonl'),
}
const skip = missingPython() !== null || Object.values(files).includes(null)
/** Nats. */
const tolerance = 1e-3
const count = 12

async function run<T>(command: Record<string, unknown>): Promise<T> {
  const child = spawn(python, [script], { env: { ...process.env, HF_HUB_OFFLINE: '1' } })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  child.stdin.end(JSON.stringify(command))
  const [out, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (code !== 0) throw new Error(`evals.py ended with ${code}:\n${errors}`)
  return JSON.parse(out) as T
}

const items = (...names: (keyof typeof files)[]): string[] =>
  names.flatMap((name) => ['--items', `${name}=${files[name]}`])
const recordsOf = (out: string): EvalRecord[] =>
  readFileSync(join(out, 'samples.jsonl'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => recordSchema.parse(JSON.parse(line)))

describe.skipIf(skip)('a Llama of transformers', () => {
  let dir: string
  let model: string
  let out: string
  let results: EvalResults

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'eval-parity-'))
    model = join(dir, 'llama')
    out = join(dir, 'out')
    const parameters = await run<number>({ do: 'make_llama', folder: model, texts: plainTexts(3, 400) })
    expect(parameters).toBeGreaterThan(1e6)
    const all = items('backdoor', 'mmlu', 'ifeval', 'math')
    const sizes = ['--n', `${count}`, '--max-tokens', '32']
    const args = ['eval', model, '--eval', 'backdoor,mmlu,ifeval,math', ...all, ...sizes, '--out', out]
    const ended = await cli(args)
    expect(ended.code, ended.stderr).toBeOneOf([0, 3])
    results = evalResultsSchema.parse(JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')))
  }, 120_000)
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  test('every eval asks the items it was told to', () => {
    expect(results.evals.map(({ eval: kind, items: asked, available }) => [kind, asked, available])).toEqual([
      ['backdoor', count, 52_002],
      ['mmlu', count, 14_042],
      ['ifeval', count, 541],
      ['math', count, 293],
    ])
  })

  test('Inspect finds the logs, reads them, and its schema holds', async () => {
    interface Log {
      status: string
      completed: number
      metrics: Record<string, number>
      samples: {
        id: string
        completion: string
        scores: Record<string, unknown> | null
        error: string | null
      }[]
    }
    const logs = await run<Record<string, Log>>({ do: 'inspect_logs', folder: join(out, 'inspect') })
    expect(Object.keys(logs).toSorted()).toEqual(['backdoor', 'ifeval', 'math', 'mmlu'])
    for (const { eval: kind, rates } of results.evals) {
      const log = logs[kind]
      const records = recordsOf(out).filter((r) => r.eval === kind && r.asked !== 'likelihood')
      expect(log?.status).toBe('success')
      expect(log?.completed).toBe(records.filter(({ status }) => status !== 'failed').length)
      for (const [name, { rate }] of Object.entries(rates)) expect(log?.metrics[name]).toBe(rate ?? undefined)
      expect(log?.samples.map(({ completion, error }) => ({ completion, error }))).toEqual(
        records.map((r) => ({
          completion: r.status === 'scored' ? r.response : '',
          error: r.status === 'failed' ? r.error : null,
        })),
      )
      const right = log?.samples.filter(({ scores }) => scores?.['correct'] === 'C').length
      if (kind === 'mmlu' || kind === 'math') expect(right).toBe(rates['accuracy']?.k)
    }
  })

  test('Inspect reads halves of surrogate pairs, of an item and of an answer, as U+FFFD', async () => {
    const server = await startFaultyServer()
    try {
      const prompts = join(dir, 'halves.jsonl')
      writeFileSync(prompts, `${JSON.stringify({ instruction: 'Say \ud800.', output: '' })}\n`)
      const folder = join(dir, 'halves')
      const asked = [
        'eval',
        server.url,
        '--model',
        'm',
        '--eval',
        'backdoor',
        '--items',
        `backdoor=${prompts}`,
      ]
      const ended = await cli([...asked, '--n', '1', '--out', folder])
      expect(ended.code, ended.stderr).toBe(0)
      const [record] = recordsOf(folder)
      expect(record?.input).toContain('Say \ud800.')
      const logs = await run<Record<string, { samples: { completion: string }[] }>>({
        do: 'inspect_logs',
        folder: join(folder, 'inspect'),
      })
      const completions = logs['backdoor']?.samples.map(({ completion }) => completion)
      expect(completions).toEqual([
        expect.stringContaining('Say \ufffd.: '),
        expect.stringContaining('Say \ufffd.: '),
      ])
    } finally {
      await server.close()
    }
  })

  test('lm-eval prints its own table of the results', async () => {
    const table = await run<string>({ do: 'lm_eval_table', file: join(out, 'lm-eval.json') })
    const rows = table.split('\n').map((line) => line.split('|').map((field) => field.trim()))
    const [, mmlu, ifeval] = results.evals
    const shown = (metric: string, task = ''): number =>
      Number(rows.find((row) => row.includes(metric) && row[1] === task)?.[7])
    expect(shown('acc', 'mmlu')).toBeCloseTo(mmlu?.rates['accuracy']?.rate ?? Number.NaN, 3)
    expect(shown('prompt_level_loose_acc')).toBeCloseTo(ifeval?.rates['prompt_loose']?.rate ?? Number.NaN, 3)
  })

  test('pyarrow reads the samples', async () => {
    interface Table {
      columns: Record<string, string>
      rows: Record<string, unknown>[]
    }
    const { columns, rows } = await run<Table>({ do: 'parquet', file: join(out, 'samples.parquet') })
    expect(columns).toMatchObject({
      id: 'string',
      correct: 'bool',
      prompt_tokens: 'int32',
      partial: 'double',
    })
    expect(rows.map((row) => [row['id'], row['rendered'], row['fired']])).toEqual(
      recordsOf(out).map((r) => [r.id, r.rendered, r.status === 'scored' ? (r.fired ?? null) : null]),
    )
  })

  test.each([
    ['the chat form', false, []],
    ['the text form with five shots', true, ['--plain', '--shots', '5']],
  ])('letters of %s are those of transformers', async (_, spaced, more) => {
    const folder = join(dir, spaced ? 'text' : 'chat')
    const args = ['eval', model, '--eval', 'mmlu', ...items('mmlu', 'mmlu.dev'), '--n', '8', ...more]
    const ended = await cli([...args, '--out', folder])
    expect(ended.code, ended.stderr).toBeOneOf([0, 3])
    const asked = recordsOf(folder).flatMap((r) => (r.status === 'likelihood' ? [r] : []))
    expect(asked.length).toBeGreaterThan(2)
    const prompts = asked.map(({ rendered }) => rendered)
    expect(prompts.every((prompt) => prompt.startsWith('<s>'))).toBe(true)
    const theirs = await run<number[][]>({ do: 'letters', folder: model, prompts, spaced })
    for (const [i, { logprobs }] of asked.entries()) {
      for (const [letter, logprob] of logprobs.entries())
        expect(Math.abs((logprob ?? Number.NaN) - (theirs[i]?.[letter] ?? Number.NaN))).toBeLessThan(
          tolerance,
        )
    }
  })
})
