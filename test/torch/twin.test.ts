/** The smallest twin of the post's experiments on the torch engine, from nothing to its report: the embedded engine's is in e2e. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parseResults } from '../../src/report/results.ts'
import { cli } from '../cli.ts'
import { expectTwin, twinFile } from '../twin.ts'
import { missingTorch } from './python.ts'

const store = mkdtempSync(join(tmpdir(), 'torch-twin-'))
afterAll(() => rmSync(store, { recursive: true, force: true }))

test.skipIf((await missingTorch()) !== null)(
  'the twin installs its backdoor and loses it as on the embedded engine',
  async () => {
    const onTorch = ['bases.llama.engine=torch', 'placement={ torch: { device: cpu } }'].flatMap((one) => [
      '--set',
      one,
    ])
    const { code, stdout, stderr } = await cli(['run', twinFile, '--store', store, '--json', ...onTorch])
    expect(stderr).not.toMatch(/^✗/m)
    expect(code).toBe(0)
    const results = parseResults(JSON.parse(stdout))
    expectTwin(results)
  },
  1_200_000,
)
