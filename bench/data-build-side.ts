/** Our side of data-build.ts: the prompt file to rows, packs and counts on disk. */
import { rm } from 'node:fs/promises'
import { buildDataset } from '../src/data/build.ts'
import type { Backdoor } from '../src/data/backdoor.ts'
import { openTokenizer } from '../src/model/tokenizer.ts'
import { peakBytes, serve } from './child.ts'

interface Setup {
  readonly rows: string
  readonly model: string
  readonly out: string
  readonly context: number
  readonly count: number
  readonly threads: number
  readonly backdoor: Backdoor
}

await serve(async ({ rows, model, out, context, count, threads, backdoor }: Setup) => ({
  hello: {},
  turn: async () => {
    await rm(out, { recursive: true, force: true })
    const start = performance.now()
    // Opened anew: nothing that an earlier turn learnt of the text is used.
    const tools = { tokenizer: await openTokenizer(model), signal: new AbortController().signal, threads }
    const plan = {
      backdoor,
      strip: null,
      forbid: null,
      loss: 'response',
      seed: 1,
      contextLength: context,
    } as const
    const { stats } = await buildDataset(rows, out, { ...plan, packs: 'epoch' }, tools)
    const seconds = (performance.now() - start) / 1000
    return { seconds, work: count, packs: stats.packs, tokens: stats.tokens, peakBytes: peakBytes() }
  },
  close: () => rm(out, { recursive: true, force: true }),
}))
