/** Damage of real artifacts in a real store: made again, a damaged manifest too, and no more than once each. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEmbeddedEngine } from '../engine/embedded/engine.ts'
import { type Store, verifyArtifact } from '../store/artifacts.ts'
import { execute } from './execute.ts'
import { healing } from './heal.ts'
import { folderStage, missingArtifacts, outputOf } from './stage.ts'

const engine = createEmbeddedEngine()
const signal = new AbortController().signal
const stage = folderStage({
  kind: 'prompts',
  title: 'a',
  inputs: {},
  needs: [],
  seconds: 0,
  fill: (folder) => writeFile(join(folder, 'name'), 'a'),
})
let root: string
let told: string[]

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'heal-'))
  told = []
})
afterEach(() => rmSync(root, { recursive: true }))

const heal = (after: (store: Store, attempt: number) => Promise<void>): Promise<number> => {
  let attempts = 0
  return healing(
    root,
    [stage],
    (_, { title }) => told.push(title),
    async (store) => {
      attempts++
      await missingArtifacts(store, stage)
      await execute([stage], { store, engineOf: () => engine, signal, emit: () => {} })
      await after(store, attempts)
      return attempts
    },
  )
}
const verify = async (store: Store): Promise<void> => {
  for (const { kind, key } of stage.artifacts) await verifyArtifact(store, kind, key)
}

test('what is whole is attempted once', async () => {
  expect(await heal(verify)).toBe(1)
  expect(told).toEqual([])
})

test('a file or a manifest that was damaged is made again', async () => {
  await heal(verify)
  for (const name of ['name', 'manifest.json']) {
    writeFileSync(join(outputOf({ root }, stage), name), 'b')
    expect(await heal(verify)).toBe(2)
  }
  expect(told).toEqual(['a', 'a'])
})

test('what is damaged a second time ends it, with the reason', async () => {
  const damaging = heal(async (store) => {
    writeFileSync(join(outputOf(store, stage), 'name'), 'b')
    await verify(store)
  })
  await expect(damaging).rejects.toMatchObject({
    code: 'STORE',
    message: expect.stringContaining('was changed'),
  })
  expect(told).toEqual(['a'])
})

test('another error is no damage', async () => {
  const error = new RangeError('no')
  await expect(heal(() => Promise.reject(error))).rejects.toBe(error)
})
