/** The twins of the post's experiments, run to their reports one after the other; what they share is made once. `npm run test:twins`. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parseResults } from '../../src/report/results.ts'
import { cli, root } from '../cli.ts'

const folder = 'experiments/post/twins'
const store = mkdtempSync(join(tmpdir(), 'twins-'))
afterAll(() => rmSync(store, { recursive: true, force: true }))

const names = readdirSync(join(root, folder)).filter((file) => !file.startsWith('tiny'))

/** Whose organism is a base without a backdoor. */
const bare = ['others.yaml']
/** The early checkpoints of a red team are no organisms yet, and are trained all the same. */
const reported = /^red-checkpoints-/

test.each(names)('%s', async (name) => {
  const { code, stdout, stderr } = await cli(['run', join(folder, name), '--store', store, '--json'])
  expect(stderr).not.toMatch(/^✗/m)
  expect(code).toBe(0)
  const { cells, organisms } = parseResults(JSON.parse(stdout))
  const installed = organisms.map(({ admission }) => admission.installed)
  const statuses = [...new Set(cells.map(({ status }) => status))]
  if (bare.includes(name)) {
    expect(new Set(installed)).toEqual(new Set([false]))
    expect(statuses).toEqual(['not_installed'])
    return
  }
  expect(statuses).toEqual(['done'])
  expect(installed.at(-1)).toBe(true)
  if (!reported.test(name)) expect(installed).not.toContain(false)
  const last = cells.filter((cell) => cell.status === 'done').map(({ curves }) => curves.length)
  expect(Math.min(...last)).toBeGreaterThan(3)
})
