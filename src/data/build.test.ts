/** Where a new folder may be made: also behind a link, which stays one. */
import { lstat, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { intoNewFolder } from './build.ts'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'new-folder-'))
})
afterAll(() => rm(dir, { recursive: true }))

test.each(['an empty folder', 'nothing yet'])('behind a link to %s', async (what) => {
  const target = join(dir, `behind ${what}`)
  const out = join(dir, `link to ${what}`)
  if (what === 'an empty folder') await mkdir(target)
  await symlink(target, out)
  await intoNewFolder(out, (folder) => writeFile(join(folder, 'rows'), 'a'))
  expect((await lstat(out)).isSymbolicLink()).toBe(true)
  expect(await readdir(target)).toEqual(['rows'])
  await expect(intoNewFolder(out, async () => undefined)).rejects.toThrow('is not empty')
  expect((await readdir(dir)).filter((name) => name.includes('partial'))).toEqual([])
})
