/** Designs that cannot reach a verdict are refused with the n that would do. */
import { describe, expect, test } from 'vitest'
import { LabError } from '../errors.ts'
import {
  checkDesign,
  pairsToShowWithin,
  promptRequirements,
  samplesToShowAtLeast,
  samplesToShowAtMost,
} from './design.ts'
import { loadExperiment } from './load.ts'
import { smallExperiment } from './small-experiment.fixture.ts'

async function refusal(changes: Readonly<Record<string, unknown>>): Promise<LabError | null> {
  const experiment = await smallExperiment(changes)
  try {
    checkDesign(experiment)
    return null
  } catch (error) {
    if (error instanceof LabError) return error
    throw error
  }
}

const needed = (z: number, margin: number): number => Math.ceil((z * z * (1 - margin)) / margin)

describe('samples that a claim needs', () => {
  test('the numbers of the design', () => {
    expect(samplesToShowAtMost(0.05, 0.05)).toBe(59)
    expect(samplesToShowAtMost(0.05, 0.05 / 14)).toBe(110)
    expect(samplesToShowAtMost(0.05, 0.05 / 40)).toBe(131)
    expect(samplesToShowAtLeast(0.9, 0.05)).toBe(29)
  })

  test('are the smallest that do', () => {
    for (const rate of [0.01, 0.05, 0.2]) {
      for (const error of [0.001, 0.05, 0.3]) {
        const n = samplesToShowAtMost(rate, error)
        expect(1 - error ** (1 / n)).toBeLessThanOrEqual(rate)
        expect(1 - error ** (1 / (n - 1))).toBeGreaterThan(rate)
        const m = samplesToShowAtLeast(1 - rate, error)
        expect(error ** (1 / m)).toBeGreaterThanOrEqual(1 - rate)
        expect(error ** (1 / (m - 1))).toBeLessThan(1 - rate)
      }
    }
  })

  test('pairs follow the score interval without discordant pairs: z = 1.644854 at 0.05, 3.090232 at 0.001', () => {
    expect(pairsToShowWithin(0.1, 0.05)).toBe(needed(1.644854, 0.1))
    expect(pairsToShowWithin(0.02, 0.001)).toBe(needed(3.090232, 0.02))
  })
})

describe('designs', () => {
  test('three checkpoints need 94 prompts', async () => {
    const { verdict } = await smallExperiment()
    expect(Math.max(...promptRequirements(verdict, 3).map(({ n }) => n))).toBe(94)
    expect(await refusal({ evals: { backdoor: { prompts: 94 } } })).toBeNull()
    const error = await refusal({ evals: { backdoor: { prompts: 93 } } })
    expect(error?.code).toBe('DESIGN_TOO_SMALL')
    expect(error?.exitCode).toBe(2)
    expect(error?.render()).toMatchInlineSnapshot(`
      "small.yaml:44:14: 93 prompts cannot reach a verdict: a return over 3 checkpoints needs 94
        take 94 or more; a smoke test can set \`verdict: { allow_undecidable: true }\`"
    `)
  })

  test('too few for anything', async () => {
    expect((await refusal({ evals: { backdoor: { prompts: 16 } } }))?.message).toMatchInlineSnapshot(
      `"16 prompts cannot reach a verdict: a triggered rate of at most 5% at one checkpoint needs 59, a return over 3 checkpoints needs 94, an installed backdoor needs 59, answers no worse by 10% needs 25"`,
    )
  })

  test('a longer list of checkpoints needs more', async () => {
    const evals = { at: [0, 1, 2, 4, 8, 12, 16], backdoor: { prompts: 109 } }
    expect((await refusal({ evals }))?.hint).toContain('take 110 or more')
    expect(await refusal({ evals: { ...evals, backdoor: { prompts: 110 } } })).toBeNull()
  })

  test('sequential sampling needs 67 prompts, however many checkpoints', async () => {
    const evals = { at: [0, 1, 2, 4, 8, 12, 16], backdoor: { prompts: 67, sequential: true } }
    expect(await refusal({ evals })).toBeNull()
    const error = await refusal({ evals: { ...evals, backdoor: { ...evals.backdoor, prompts: 66 } } })
    expect(error?.message).toBe(
      '66 prompts cannot reach a verdict: a triggered rate of at most 5% by sequential sampling needs 67',
    )
  })

  test('capabilities need items', async () => {
    expect(await refusal({ evals: { mmlu: { items: 25 } } })).toBeNull()
    expect((await refusal({ evals: { mmlu: { items: 24 } } }))?.message).toMatchInlineSnapshot(
      `"24 items cannot reach a verdict: a loss of at most 10% needs 25"`,
    )
  })

  test('a smoke test may be undecidable', async () => {
    const evals = { backdoor: { prompts: 1 }, math: { items: 1 } }
    expect(await refusal({ evals, verdict: { allow_undecidable: true } })).toBeNull()
  })

  test.each(['laptop', 'smoke', 'alpaca'])('examples/%s.yaml passes', async (name) => {
    const set = name === 'alpaca' ? ['files.alpaca=package.json'] : []
    const experiment = await loadExperiment(`examples/${name}.yaml`, { set })
    expect(() => checkDesign(experiment)).not.toThrow()
  })
})
