/** A training of two processes over both nodes of a cluster, whose names are none of the network. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEmbeddedEngine } from '../../src/engine/embedded/engine.ts'
import { fourSteps } from '../hundred-steps.ts'
import { missingTorch } from '../torch/python.ts'
import { noSlurm, startCluster, until, type Cluster } from './cluster.ts'

interface Told {
  readonly nodes: number
  readonly host: string | null
  readonly processes: number
  readonly losses: readonly number[]
  readonly failure: string | null
}

const missing = noSlurm ?? (await missingTorch())

describe.skipIf(missing !== null)('a training over two nodes', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster('t')
  })
  afterAll(() => cluster.stop())

  /** Waits for the job. */
  async function train(name: string, ...more: string[]): Promise<Told> {
    const folder = join(cluster.folder, name)
    const program = resolve(import.meta.dirname, 'two-nodes.ts')
    const command = [process.execPath, program, folder, ...more].map((part) => `'${part}'`).join(' ')
    const options = ['--parsable', '--nodes=2', '--ntasks-per-node=1', '--mem=3G', `--output=${folder}.log`]
    const id = (await cluster.slurm('sbatch', ...options, `--wrap=${command}`)).trim()
    await until(`job ${id} has ended`, () => cluster.endedJobs().some((job) => job.id === id))
    return JSON.parse(readFileSync(join(folder, 'told.json'), 'utf8')) as Told
  }

  test('has the losses of one machine', async () => {
    const told = await train('met')
    expect(told.failure).toBeNull()
    expect([told.nodes, told.host, told.processes]).toEqual([2, '127.0.0.1', 2])
    const embedded = createEmbeddedEngine()
    try {
      const folder = join(cluster.folder, 'met')
      const training = embedded.trainer.train(fourSteps(folder, 'embedded'), {
        signal: new AbortController().signal,
      })
      const losses: number[] = []
      for await (const event of training) if (event.type === 'step') losses.push(event.metrics.loss)
      expect(told.losses).toHaveLength(4)
      for (const [i, loss] of losses.entries()) expect(told.losses[i]).toBeCloseTo(loss, 4)
    } finally {
      await embedded.close()
    }
  })

  test('says why its processes did not meet', async () => {
    const taken = createServer().listen(0, '0.0.0.0')
    await new Promise((done) => taken.once('listening', done))
    const address = taken.address()
    const port = typeof address === 'object' ? address?.port : undefined
    try {
      const { failure, losses } = await train('apart', String(port))
      expect(losses).toEqual([])
      expect(failure?.split('\n')[0]).toMatch(
        /^the processes of the training did not meet: .*listen.*EADDRINUSE/,
      )
    } finally {
      taken.close()
    }
  })
})
