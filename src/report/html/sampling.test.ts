/** The page says how much was asked: prompts used of those planned, where sampling stopped, and errors. */
import { describe, expect, test } from 'vitest'
import { isDone } from '../cells.ts'
import type { CurvePoint, Results } from '../results.ts'
import { syntheticResults } from '../synthetic.fixture.ts'
import { samplingSection } from './sampling.ts'

/** The results of one cell with its curve changed. */
function withCurve(change: (point: CurvePoint) => CurvePoint): Results {
  const results = syntheticResults({ lrs: [1e-4] })
  const [cell] = results.cells.filter(isDone)
  if (cell === undefined) throw new Error('no cell was done')
  const [first, ...rest] = cell.curves
  const curves = [first, ...rest].flatMap((point) => (point === undefined ? [] : [change(point)]))
  return { ...results, cells: [{ ...cell, curves }] }
}

const text = (results: Results): string =>
  samplingSection(results)
    .markup.replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/\s+/g, ' ')

describe('the sampling section', () => {
  test('without sequential sampling there are no traces', () => {
    expect(text(syntheticResults())).toContain('What was asked')
    expect(text(syntheticResults())).not.toContain('Sequential sampling')
  })

  test('prompts used of those planned, and where it stopped', () => {
    const said = text(
      withCurve((point) =>
        point.step === 0
          ? point
          : {
              ...point,
              triggered: { ...point.triggered, n: point.step === 4 ? 200 : 70 },
              sequential: { planned: 200 },
            },
      ),
    )
    expect(said).toContain('step 0: 128, all')
    expect(said).toContain('step 4: 200 of 200, to the end')
    expect(said).toContain('step 8: 70 of 200, decided')
    expect(said).toContain('5 checkpoints')
  })

  test('errors, the form and the set of public items', () => {
    const results = withCurve((point) => {
      const { backdoor } = point.evaluations
      if (backdoor === undefined) return point
      const mmlu = {
        ...backdoor,
        n: 500,
        available: 14_042,
        errors: 7,
        prompt_set: 'ab'.repeat(32),
        sampling: null,
        form: { prompt: 'text', shots: 5, protocol: 'reference' },
      }
      return { ...point, evaluations: { backdoor, mmlu } }
    })
    expect(text(results)).toMatch(
      /mmlu 500 of 14,042 prompt text · shots 5 · protocol reference abababababab 7 /,
    )
  })
})
