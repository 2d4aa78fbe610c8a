/** Where a merged model may be written: nothing that exists is removed for it. */
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tinyConfig, randomWeights, writeRandomModel } from '../engine/embedded/random-model.fixture.ts'
import { loraCount, writeAdapter } from '../model/peft.ts'
import { mergeInto } from './merge.ts'

let dir = ''
let adapter = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'merge-'))
  const base = await writeRandomModel(dir, 'base', tinyConfig)
  const shape = { rank: 2, targets: ['q_proj'] } as const
  adapter = join(dir, 'adapter')
  await mkdir(adapter)
  const weights = new Float32Array(loraCount(tinyConfig, shape)).fill(0.1)
  await writeAdapter(adapter, { config: tinyConfig, base, alpha: 2, ...shape, weights })
})
afterAll(() => rm(dir, { recursive: true }))

test('a file in the place of the folder stays as it is', async () => {
  const out = join(dir, 'notes.txt')
  await writeFile(out, 'mine')
  await expect(mergeInto(adapter, out)).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: `${out} is a file, not a folder`,
  })
  expect(await readFile(out, 'utf8')).toBe('mine')
})

test('a folder with something in it stays as it is; an empty one and a new one take the model', async () => {
  const out = join(dir, 'out')
  await mkdir(out)
  await writeFile(join(out, 'mine'), 'mine')
  await expect(mergeInto(adapter, out)).rejects.toMatchObject({ message: `${out} is not empty` })
  expect(await readFile(join(out, 'mine'), 'utf8')).toBe('mine')
  await rm(join(out, 'mine'))
  await mergeInto(adapter, out)
  await mergeInto(adapter, join(dir, 'new'))
  const [one, two] = await Promise.all(
    [out, join(dir, 'new')].map((folder) => readFile(join(folder, 'model.safetensors'))),
  )
  expect(one).toEqual(two)
  expect(one?.byteLength).toBeGreaterThan(4 * randomWeights(tinyConfig).length)
})

test.each(['an empty folder', 'nothing yet'])(
  'a link to %s stays one, and the model lies behind it',
  async (what) => {
    const target = join(dir, `behind ${what}`)
    const out = join(dir, `link to ${what}`)
    if (what === 'an empty folder') await mkdir(target)
    await symlink(target, out)
    await mergeInto(adapter, out)
    expect((await lstat(out)).isSymbolicLink()).toBe(true)
    expect(await readdir(target)).toContain('model.safetensors')
  },
)
