/** Our side of sample.ts: the requests of one turn through the Sampler interface. */
import { createCores } from '../src/engine/embedded/cores.ts'
import { createSamplerHost } from '../src/engine/embedded/sampler.ts'
import { peakBytes, serve } from './child.ts'

export interface SampleSetup {
  readonly folder: string
  readonly prompts: readonly (readonly number[])[]
  readonly newTokens: number
  readonly threads: number
}

await serve(async ({ folder, prompts, newTokens, threads }: SampleSetup) => {
  const host = createSamplerHost(createCores(threads))
  const sampler = await host.open(folder)
  return {
    hello: {},
    turn: async ({ temperature }: { readonly temperature: number }) => {
      const requests = prompts.map((prompt, i) => ({
        id: `${i}`,
        prompt,
        maxTokens: newTokens,
        temperature,
        topP: 1,
        seed: 1,
      }))
      const start = performance.now()
      const results = await sampler.generate(requests, { signal: new AbortController().signal })
      const seconds = (performance.now() - start) / 1000
      const tokens = results.map((result) => result.tokens)
      return { seconds, work: tokens.flat().length, tokens, peakBytes: peakBytes() }
    },
    close: async () => {
      await sampler.close()
      await host.close()
    },
  }
})
