/** A training of another machine, whose clock may tell anything: it is waited for as long as its heart beats. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startChild, type Child } from './child.ts'
import { waitForFormerProcess } from './former-process.ts'

let workDir: string
let other: Child | null

beforeEach(() => {
  workDir = mkdtempSync(join(tmpdir(), 'former-'))
  other = null
  writeFileSync(
    join(workDir, 'process.json'),
    JSON.stringify({ pid: 1, host: 'another', job: join(workDir, 'JOB.json') }),
  )
})
afterEach(async () => {
  other?.signal('SIGKILL')
  await other?.exited
  rmSync(workDir, { recursive: true, force: true })
})

/** A process whose heart beats with a clock so many hours ahead, until it is asked to stop. */
async function beatHoursAhead(hours: number): Promise<Child> {
  const program = `
    const { existsSync, writeFileSync } = require('node:fs')
    const beat = () => {
      const time = new Date(Date.now() + ${hours * 3_600_000}).toISOString()
      writeFileSync('heartbeat.json', JSON.stringify({ step: 1, time, phase: 'training' }))
    }
    beat()
    process.stdout.write('beats\\n')
    setInterval(() => (existsSync('STOP') ? process.exit(75) : beat()), 20)`
  const child = await startChild({
    command: { file: process.execPath, args: ['-e', program] },
    env: process.env,
    cwd: workDir,
    log: join(workDir, 'log.txt'),
    spoken: true,
    atExit: (signal) => signal('SIGKILL'),
  })
  await new Promise((resolve) => child.stdout?.once('data', resolve))
  return child
}

const signal = new AbortController().signal

it.each([5, -5])('is asked to stop and waited for with a clock %i hours ahead', async (hours) => {
  other = await beatHoursAhead(hours)
  await waitForFormerProcess(workDir, { patienceMs: 20_000, signal, silenceMs: 500 })
  expect(await other.exited).toMatchObject({ code: 75 })
  expect(existsSync(join(workDir, 'process.json'))).toBe(false)
})

it('that is dead is not waited for longer than its heart may be silent, though its last beat is of tomorrow', async () => {
  const time = new Date(Date.now() + 86_400_000).toISOString()
  writeFileSync(join(workDir, 'heartbeat.json'), JSON.stringify({ step: 1, time, phase: 'training' }))
  const began = performance.now()
  await waitForFormerProcess(workDir, { patienceMs: 60_000, signal, silenceMs: 300 })
  expect(performance.now() - began).toBeGreaterThanOrEqual(300)
  expect(existsSync(join(workDir, 'process.json'))).toBe(false)
})

it('that does not stop is told, with what to do', async () => {
  other = await beatHoursAhead(0)
  const waiting = waitForFormerProcess(workDir, { patienceMs: 0, signal, silenceMs: 60_000 })
  await expect(waiting).rejects.toMatchObject({
    message: `process 1 on another still trains in ${workDir}`,
    hint: 'End it, then run the same command again.',
  })
  expect(readFileSync(join(workDir, 'STOP'), 'utf8')).toBe('taken over\n')
})
