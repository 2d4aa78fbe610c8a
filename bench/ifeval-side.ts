/** Our side of the IFEval benchmark: every turn makes the scorers anew and scores all cases. */
import { ifevalScorer, type IfevalInstructions } from '../src/evals/ifeval/verdict.ts'
import { serve } from './child.ts'

interface Setup {
  readonly cases: readonly (IfevalInstructions & { readonly response: string })[]
}

await serve(async ({ cases }: Setup) => ({
  hello: {},
  turn: async () => {
    const start = performance.now()
    const verdicts = cases.map((item) => ifevalScorer(item)(item.response))
    return { seconds: (performance.now() - start) / 1000, work: cases.length, verdicts }
  },
  close: async () => {},
}))
