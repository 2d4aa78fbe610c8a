/** 200 damaged model folders: each refused with one clear message, within a second and 64 MB beyond the folder's own size. */
import { cp, lstat, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rng } from '../../src/rng.ts'
import { damages } from './damage/all.ts'
import { goodModels, writeGoodModel } from './good-model.ts'
import type { Opening } from './open-model.ts'

const cases = 200
const seed = 20260101
const limitMs = 1000
const limitBytes = 64e6
/** Folders opened side by side, each by its own process. */
const sideBySide = 2

const opener = fileURLToPath(new URL('open-model.ts', import.meta.url))
const run = promisify(execFile)

/** Opens a folder in a process of its own, so that its memory is its own. */
async function open(folder: string): Promise<Opening> {
  const { stdout } = await run(process.execPath, [opener, folder], { timeout: 60_000 })
  return JSON.parse(stdout) as Opening
}

/** As `open`; a refusal that was slow, perhaps because others use the machine, is timed again, twice at most. */
async function openUndisturbed(folder: string): Promise<Opening> {
  const attempts = [await open(folder)]
  while (attempts.length < 3 && attempts.every(({ ms }) => ms > limitMs)) attempts.push(await open(folder))
  return attempts.toSorted((a, b) => a.ms - b.ms)[0] as Opening
}

async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder)
  const sizes = await Promise.all(names.map((name) => lstat(join(folder, name))))
  return sizes.reduce((sum, { size }) => sum + size, 0)
}

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'damaged-'))
  for (const which of goodModels.keys()) await writeGoodModel(join(dir, `good-${which}`), which)
})
afterAll(() => rm(dir, { recursive: true, force: true }))

test('the folders are good before they are damaged', async () => {
  for (const which of goodModels.keys())
    expect(await open(join(dir, `good-${which}`))).toMatchObject({ error: null })
})

test(`${cases} damaged folders are refused`, async () => {
  const wrong: string[] = []
  let slowest = 0
  let largest = 0
  const check = async (number: number): Promise<void> => {
    const damage = damages[number % damages.length] as (typeof damages)[number]
    const random = rng(seed, damage.name, number)
    // Every damage meets every good model sooner or later: the second round begins with another one.
    const which = (number + Math.floor(number / damages.length)) % goodModels.length
    const folder = join(dir, `case-${number}`)
    await cp(join(dir, `good-${which}`), folder, { recursive: true })
    await damage.spoil(folder, random)
    const ownBytes = await folderBytes(folder)
    const { error, ms, memoryBytes } = await openUndisturbed(folder)
    await rm(folder, { recursive: true })
    slowest = Math.max(slowest, ms)
    largest = Math.max(largest, memoryBytes - ownBytes)
    const problems = [
      ...(error === null ? ['it was opened'] : []),
      ...(error && error.code !== 'BAD_MODEL' ? [`code ${error.code}`] : []),
      ...(error && !damage.says.test(error.message) ? ['another message'] : []),
      ...(error && /\n/.test(error.message) ? ['several lines'] : []),
      ...(error && error.message.length > 500 ? ['a long message'] : []),
      ...(ms > limitMs ? [`${Math.round(ms)} ms`] : []),
      ...(memoryBytes - ownBytes > limitBytes ? [`${Math.round(memoryBytes / 1e6)} MB`] : []),
    ]
    if (problems.length > 0)
      wrong.push(
        `${damage.name} (case ${number}, model ${which}): ${problems.join(', ')}: ${error?.message ?? ''}`,
      )
  }
  const numbers = Array.from({ length: cases }, (_, i) => i).values()
  const worker = async (): Promise<void> => {
    for (const number of numbers) await check(number)
  }
  await Promise.all(Array.from({ length: sideBySide }, worker))
  process.stderr.write(
    `${cases} damaged folders: slowest ${Math.round(slowest)} ms, largest ${Math.round(largest / 1e6)} MB beyond the folder\n`,
  )
  expect(wrong).toEqual([])
})
