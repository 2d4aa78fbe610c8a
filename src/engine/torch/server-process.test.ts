/** A server that never becomes healthy is given up in time and ended, with its last lines. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import type { LabError } from '../../errors.ts'
import { startServer } from './server-process.ts'
import { testSettings } from './settings.fixture.ts'

const folder = mkdtempSync(join(tmpdir(), 'torch-server-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Answers that it is not ready, for ever. */
const program = `
require('node:fs').writeFileSync('${join(folder, 'pid')}', String(process.pid))
process.stderr.write('reading shard 1 of 30\\n')
const port = process.argv[process.argv.indexOf('--port') + 1]
require('node:http').createServer((_, response) => response.writeHead(503).end()).listen(Number(port), '127.0.0.1')
`

it('says that it was not healthy, for how long, and what to do', async () => {
  const python = join(folder, 'python')
  writeFileSync(join(folder, 'server.cjs'), program)
  writeFileSync(python, `#!/bin/sh\nexec '${process.execPath}' '${join(folder, 'server.cjs')}' "$@"\n`)
  chmodSync(python, 0o755)
  const options = {
    kind: 'transformers',
    python,
    settings: testSettings(),
    devices: 1,
    loraRank: null,
  } as const
  const error = await startServer({ ...options, folder, scratch: folder, startPatienceMs: 3000 }).then(
    () => null,
    (reason: unknown) => reason as LabError,
  )
  expect(error?.message).toBe('the transformers server was not healthy within 3 s\n  | reading shard 1 of 30')
  expect(error?.hint).toMatch(/the same command starts it again; .*sampler: forward.*transformers\.log$/)
  const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'))
  expect(() => process.kill(pid, 0)).toThrow('ESRCH')
})
