/** The short form of the fault test: a small experiment killed at random moments ends with the same bytes. */
import { expect, test } from 'vitest'
import { killAndCompare } from './kill.ts'

test('kill -9 at 6 random moments changes no byte of any artifact or result', async () => {
  const report = await killAndCompare('examples/smoke.yaml', 6, 11)
  expect(report.different).toEqual([])
  expect(report.compared).toBeGreaterThan(40)
  expect(report.kills).toBeGreaterThanOrEqual(3)
})
