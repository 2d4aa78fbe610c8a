/** The short form of `node test/teacher/kill.ts`: a teacher that is killed while its server fails loses and repeats nothing. */
import { expect, test } from 'vitest'
import { killAndCompare } from '../teacher/kill.ts'

test('kill -9 at 5 random moments, 30% of 429s and ten other faults: the same file, nothing asked again', async () => {
  const report = await killAndCompare(1500, 5, 3)
  expect(report).toMatchObject({ same: true, repeated: 0, kills: 5 })
  expect(Object.keys(report.met)).toHaveLength(12)
  // At most what was in flight at each kill.
  expect(report.lostInFlight).toBeLessThanOrEqual(5 * 32)
})
